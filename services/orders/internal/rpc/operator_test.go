package rpc_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
)

var grace = edge.Identity{Customer: "grace", Operator: true}

// TestOperatorsWishes: what reaches the order of each call, and what is refused
// before, by field or for want of the scope.
func TestOperatorsWishes(t *testing.T) {
	t.Parallel()
	by := order.By{Operator: "grace", Reason: "the bank"}
	for name, c := range map[string]struct {
		who          edge.Identity
		method, body string // the order's id is added
		status       int
		word         string // of the refusal
		want         order.Fact
		onlyAt       int64
	}{
		"resume":                 {grace, "ResumeOrder", `"reason":"the bank"`, 200, "", order.Resume{By: by}, 0},
		"resume at a version":    {grace, "ResumeOrder", `"reason":"the bank","expectedVersion":"7"`, 200, "", order.Resume{By: by}, 7},
		"settle":                 {grace, "SettleOrder", `"reason":"the bank","status":"ORDER_STATUS_CANCELLED"`, 200, "", order.Settle{By: by, As: order.Cancelled}, 0},
		"cancel":                 {grace, "CancelOrder", `"reason":"the bank"`, 200, "", order.Cancel{By: by}, 0},
		"a customer cancels":     {edge.Identity{Customer: "17850"}, "CancelOrder", `"reason":"too late"`, 200, "", order.Cancel{Detail: "too late"}, 0},
		"cancel without reason":  {grace, "CancelOrder", `"expectedVersion":"7"`, 400, "reason", nil, 0},
		"resume without reason":  {grace, "ResumeOrder", `"reason":""`, 400, "reason", nil, 0},
		"resume with a long one": {grace, "ResumeOrder", `"reason":"` + strings.Repeat("x", 501) + `"`, 400, "reason", nil, 0},
		"control characters":     {grace, "SettleOrder", `"reason":"a\u0000b","status":"ORDER_STATUS_CANCELLED"`, 400, "reason", nil, 0},
		"settle without status":  {grace, "SettleOrder", `"reason":"the bank"`, 400, "status", nil, 0},
		"settle as charged":      {grace, "SettleOrder", `"reason":"the bank","status":"ORDER_STATUS_CHARGED"`, 400, "status", nil, 0},
		"negative version":       {grace, "ResumeOrder", `"reason":"the bank","expectedVersion":"-1"`, 400, "expected_version", nil, 0},
		"a customer resumes":     {edge.Identity{Customer: "17850"}, "ResumeOrder", `"reason":"mine"`, 403, "OPERATOR_REQUIRED", nil, 0},
		"a customer settles":     {edge.Identity{Customer: "17850"}, "SettleOrder", `"reason":"mine","status":"ORDER_STATUS_CANCELLED"`, 403, "OPERATOR_REQUIRED", nil, 0},
	} {
		s := setup(t)
		status, answer := s.call(t, c.method, "Bearer "+s.token(t, c.who, 0), "", `{"orderId":"`+s.order.ID.String()+`",`+c.body+`}`)
		if status != c.status || !strings.Contains(answer, c.word) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		var want []order.Told
		if c.want != nil {
			want = []order.Told{{Order: s.order.ID, Fact: c.want, OnlyAt: c.onlyAt}}
		}
		if diff := cmp.Diff(want, s.told); diff != "" {
			t.Errorf("%s: the order was told: %s", name, diff)
		}
	}
}

func TestRefusedWishesHaveTheirReasons(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for err, reason := range map[error]string{
		order.ErrConfirmed: "ORDER_CONFIRMED", order.ErrNeedsOperator: "ORDER_NEEDS_OPERATOR", order.ErrNothingToResume: "NOTHING_TO_RESUME",
		order.ErrStillOpen: "ORDER_STILL_OPEN", order.ErrEnded: "ORDER_HAS_ENDED", order.ErrVersionChanged: "VERSION_CHANGED",
	} {
		s.fail = err
		status, answer := s.call(t, "ResumeOrder", "Bearer "+s.token(t, grace, 0), "", `{"orderId":"`+s.order.ID.String()+`","reason":"why"}`)
		if status != 400 || !strings.Contains(answer, reason) {
			t.Errorf("%v: %d %s", err, status, answer)
		}
	}
}

func TestListsByStatus(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct {
		who  edge.Identity
		body string
		want order.Filter
	}{
		{grace, `{"status":"ORDER_STATUS_NEEDS_OPERATOR"}`, order.Filter{Status: order.NeedsOperator}},
		{edge.Identity{Customer: "17850"}, `{"status":"ORDER_STATUS_PLACED"}`, order.Filter{Customer: "17850", Status: order.Placed}},
		{edge.Identity{Customer: "17850"}, `{}`, order.Filter{Customer: "17850"}},
	} {
		status, answer := s.call(t, "ListOrders", "Bearer "+s.token(t, c.who, 0), "", c.body)
		if status != 200 || len(s.filters) == 0 || s.filters[len(s.filters)-1] != c.want {
			t.Errorf("%s: %d %s, filters %+v", c.body, status, answer, s.filters)
		}
	}
	if status, answer := s.call(t, "ListOrders", "Bearer "+s.token(t, grace, 0), "", `{"status":77}`); status != 400 || !strings.Contains(answer, "status") {
		t.Errorf("an unknown status: %d %s", status, answer)
	}
}

func TestAWaitIsTold(t *testing.T) {
	t.Parallel()
	for status, want := range map[order.Status]string{
		order.Reserved: "charging the payment", order.Cancelling: "undoing scheduling the shipment", order.NeedsOperator: "an operator",
		order.Confirmed: "", order.Cancelled: "",
	} {
		s := setup(t)
		s.order.Status, s.order.Undo, s.order.Resends = status, order.Steps(0).With(order.Ship), 2
		_, answer := s.call(t, "GetOrder", "Bearer "+s.token(t, grace, 0), "", `{"orderId":"`+s.order.ID.String()+`"}`)
		if told := strings.Contains(answer, `"wait"`); told != (want != "") || !strings.Contains(answer, want) {
			t.Errorf("%v: %s", status, answer)
		}
	}
}

// watch opens a stream.
func (s *shop) watch(t *testing.T, who edge.Identity, after int64) (next func() (*ordersv1.OrderEvent, error), end func()) {
	t.Helper()
	client := ordersv1connect.NewOrderServiceClient(edge.NewClient(s.url, s.token(t, who, 0)))
	stream, err := client.WatchOrder(t.Context(), &ordersv1.WatchOrderRequest{OrderId: s.order.ID.String(), AfterVersion: after})
	if err != nil {
		t.Fatal(err)
	}
	end = func() { _ = stream.Close() }
	t.Cleanup(end)
	return func() (*ordersv1.OrderEvent, error) {
		res, err := stream.Receive()
		return res.GetEvent(), err
	}, end
}

// TestAStreamHearsWhatIsCommittedWhileItBegins: an event that comes while the
// store is being read is in no answer of the store, and must not be lost.
func TestAStreamHearsWhatIsCommittedWhileItBegins(t *testing.T) {
	t.Parallel()
	s := setup(t)
	confirmed := order.Recorded{Order: s.order.ID, Version: 2, At: time.Now(), Event: order.StepDone{Step: order.Ship, Answer: 1}}
	s.reading = func() { s.watchers.Tell(t.Context(), []message.Message{events.Codec{}.Event(confirmed, "")}) }
	next, _ := s.watch(t, edge.Identity{Customer: "17850"}, 0)
	began := time.Now()
	for _, want := range []int64{1, 2} {
		if e, err := next(); err != nil || e.GetVersion() != want {
			t.Fatalf("version %d, %v, want %d", e.GetVersion(), err, want)
		}
	}
	if waited := time.Since(began); waited > 5*time.Second {
		t.Errorf("the heartbeat brought it, after %v", waited)
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("a confirmed order's stream ends with %v", err)
	}
}

func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	s := setup(t)
	mine := edge.Identity{Customer: "17850"}
	next, end := s.watch(t, mine, 0)
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		who   edge.Identity
		after int64
		want  connect.Code
	}{
		"the second of one":    {mine, 0, connect.CodeUnavailable},
		"somebody else's":      {edge.Identity{Customer: "eve"}, 0, connect.CodeNotFound},
		"beyond the last one":  {mine, 2, connect.CodeInvalidArgument},
		"before the first one": {mine, -1, connect.CodeInvalidArgument},
	} {
		next, _ := s.watch(t, c.who, c.after)
		if e, err := next(); connect.CodeOf(err) != c.want {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	end()
	testkit.Eventually(t, "the place comes free", func() bool {
		next, end := s.watch(t, grace, 0)
		defer end()
		_, err := next()
		return err == nil
	})
}
