package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// passOver is how long a replica that is away is left alone. By judgement: about
// what a restart takes; then it costs one attempt to find that it is still away.
const passOver = time.Second

// balancer spreads the calls of one service over its replicas, in turn. A replica
// that refuses connections, breaks one or says by "Connection: close" that it is
// about to stop is passed over for a moment. It never retries: that is Do's, in
// the one layer that does.
type balancer struct {
	under    http.RoundTripper
	replicas []*url.URL
	turn     atomic.Uint32

	mu    sync.Mutex
	until []time.Time // until when each replica is passed over
}

// balanced returns a client and the base URL to use with it. A service of one
// replica, or one whose URLs can't be read, needs no balancer.
func balanced(hc *http.Client, urls []string) (client *http.Client, base string) {
	if len(urls) == 0 {
		return hc, ""
	}
	b := &balancer{under: hc.Transport, until: make([]time.Time, len(urls))}
	for _, raw := range urls {
		parsed, err := url.Parse(raw)
		if err != nil {
			return hc, raw // the first call says what is wrong with it
		}
		b.replicas = append(b.replicas, parsed)
	}
	if len(urls) == 1 {
		return hc, urls[0]
	}
	return &http.Client{Transport: b}, urls[0]
}

// RoundTrip sends a request to the replica whose turn it is.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	way, _ := ctx.Value(routeKey{}).(*route)
	i := b.pick(way.last(b))
	way.set(b, i)
	at := *req.URL
	at.Scheme, at.Host = b.replicas[i].Scheme, b.replicas[i].Host
	req = req.WithContext(ctx) // a copy: the request is not ours to change
	req.URL, req.Host = &at, ""
	res, err := b.under.RoundTrip(req)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) || err == nil && res.Close {
		b.leave(i, passOver)
	}
	return res, err
}

// pick returns the next replica that is neither passed over nor the one to avoid.
// When there is none, one that is passed over is better than the same again.
func (b *balancer) pick(avoid int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, n := time.Now(), uint32(len(b.replicas))
	first, otherwise := b.turn.Add(1), -1
	for k := range n {
		i := int((first + k) % n)
		switch {
		case i == avoid:
		case !now.Before(b.until[i]):
			return i
		case otherwise < 0:
			otherwise = i
		}
	}
	return otherwise
}

// leave passes a replica over and tells whether another is there.
func (b *balancer) leave(i int, wait time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if until := now.Add(wait); until.After(b.until[i]) {
		b.until[i] = until
	}
	for j := range b.until {
		if j != i && !now.Before(b.until[j]) {
			return true
		}
	}
	return false
}

type routeKey struct{}

// route is the way of one call: where its latest attempt went. A call that ends
// early may leave an attempt behind that is still being sent, hence the pointer.
type route struct{ latest atomic.Pointer[stop] }

type stop struct {
	balancer *balancer
	replica  int
}

// in makes the attempts of a context those of this call.
func (r *route) in(ctx context.Context) context.Context { return context.WithValue(ctx, routeKey{}, r) }

// set notes where an attempt goes. A call that is not Do's has no route.
func (r *route) set(b *balancer, replica int) {
	if r != nil {
		r.latest.Store(&stop{b, replica})
	}
}

// last is the replica that the attempt before went to, or -1.
func (r *route) last(b *balancer) int {
	if r != nil {
		if at := r.latest.Load(); at != nil && at.balancer == b {
			return at.replica
		}
	}
	return -1
}

// leave passes the replica of the latest attempt over, for as long as it asked
// for if that is longer, and tells whether another is there.
func (r *route) leave(asked time.Duration) bool {
	at := r.latest.Load()
	return at != nil && at.balancer.leave(at.replica, max(asked, passOver))
}
