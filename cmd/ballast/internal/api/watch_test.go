package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
)

// streamer streams the versions that next says, and then ends as it says.
type streamer struct {
	ordersv1connect.UnimplementedOrderServiceHandler

	next  func(call int, after int64) (versions []int64, err error)
	calls atomic.Int64
}

func (s *streamer) WatchOrder(_ context.Context, req *ordersv1.WatchOrderRequest, stream ordersv1connect.OrderServiceWatchOrderServerStream) error {
	versions, err := s.next(int(s.calls.Add(1)), req.GetAfterVersion())
	for _, v := range versions {
		res := &ordersv1.WatchOrderResponse{}
		if v > 0 {
			res.Event = &ordersv1.OrderEvent{Version: v}
		}
		if err := stream.Send(res); err != nil {
			return err
		}
	}
	return err
}

func (s *streamer) watch(t *testing.T, after int64) (got []int64, err error) {
	t.Helper()
	server, mux := connect.NewServer(), http.NewServeMux()
	ordersv1connect.RegisterOrderServiceHandler(server, s)
	connecthttp.Mount(mux, server)
	hs := httptest.NewServer(mux)
	t.Cleanup(hs.Close)
	c := New(Config{
		Endpoints: Endpoints{Orders: []string{hs.URL}}, Wait: 2 * time.Second,
		Mint: func(string, bool) (string, error) { return "token", nil },
	})
	err = c.Watch(t.Context(), "id", after, func(e *ordersv1.OrderEvent) error {
		got = append(got, e.GetVersion())
		return nil
	})
	return got, err
}

func TestWatchGoesOnBehindTheLastVersion(t *testing.T) {
	t.Parallel()
	away := connect.NewError(connect.CodeUnavailable, "away")
	s := &streamer{next: func(call int, after int64) ([]int64, error) {
		switch {
		case call == 2:
			return []int64{0}, away
		case after == 6:
			return nil, nil
		default:
			return []int64{after + 1, 0, after + 2}, away
		}
	}}
	got, err := s.watch(t, 2)
	if want := []int64{3, 4, 5, 6}; !slices.Equal(got, want) || err != nil {
		t.Errorf("versions %v, want %v, %v", got, want, err)
	}
}

func TestWatchRefusesWhatIsNotNext(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string][]int64{"a gap": {1, 3}, "a repetition": {1, 1}} {
		s := &streamer{next: func(int, int64) ([]int64, error) { return versions, nil }}
		if got, err := s.watch(t, 0); !errors.Is(err, errVersions) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWatchGivesUp(t *testing.T) {
	t.Parallel()
	for code, patient := range map[connect.Code]bool{connect.CodeNotFound: false, connect.CodeUnavailable: true} {
		s := &streamer{next: func(int, int64) ([]int64, error) { return nil, connect.NewError(code, "no") }}
		_, err := s.watch(t, 0)
		if again := s.calls.Load() > 1; connect.CodeOf(err) != code || again != patient {
			t.Errorf("%v: %v after %d calls", code, err, s.calls.Load())
		}
	}
}
