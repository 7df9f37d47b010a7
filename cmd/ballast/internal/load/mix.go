package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/shed"
)

// Share is one part of a mix of calls.
type Share struct {
	// Operation is place, cancel, read or list.
	Operation string
	// Priority is sent as X-Request-Priority; empty sends none.
	Priority string
	// Percent of all calls.
	Percent int
}

func (s Share) String() string {
	if s.Priority == "" {
		return s.Operation
	}
	return s.Operation + ":" + s.Priority
}

// operations that a mix can have.
var operations = [...]string{"place", "cancel", "read", "list"}

// ParseMix reads shares such as "place=20,read=40,list:low=40".
func ParseMix(text string) ([]Share, error) {
	var shares []Share
	sum := 0
	for part := range strings.SplitSeq(text, ",") {
		name, percent, _ := strings.Cut(strings.TrimSpace(part), "=")
		var s Share
		s.Operation, s.Priority, _ = strings.Cut(name, ":")
		if !slices.Contains(operations[:], s.Operation) {
			return nil, fmt.Errorf("%q: want one of %s", s.Operation, strings.Join(operations[:], ", "))
		}
		if _, ok := shed.Parse(s.Priority); s.Priority != "" && !ok {
			return nil, fmt.Errorf("%q: want the priority low, normal, high or critical", s.Priority)
		}
		var err error
		if s.Percent, err = strconv.Atoi(percent); err != nil || s.Percent < 1 {
			return nil, fmt.Errorf("%q: want a whole percentage, such as %s=20", part, name)
		}
		sum += s.Percent
		shares = append(shares, s)
	}
	if sum != 100 {
		return nil, fmt.Errorf("the shares add up to %d, want 100", sum)
	}
	return shares, nil
}

// Mix sends calls of several kinds, each once: what is refused is not repeated,
// so that what customers were answered can be counted.
type Mix struct {
	Client *api.Client
	Shares []Share
	// SKUs that are ordered, one an order.
	SKUs []string
	// Patience is how long a customer waits for an answer.
	Patience time.Duration

	mu       sync.Mutex
	accepted []string // order ids
	customer []string // of each
}

// Part is what became of one share's calls.
type Part struct {
	Share
	Sent, OK int
	// Shed calls were refused in an overload, Failed ones otherwise; Failure is the
	// latest reason of these.
	Shed, Failed int
	Failure      string
	// Bare is how many refusals had no Retry-After.
	Bare int
	// Answered is how long the good answers took, Refused the refusals.
	Answered, Refused Latency

	answered, refused histogram
}

// Accepted returns the ids of the orders that were accepted.
func (m *Mix) Accepted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.accepted)
}

// Closed runs clients that each send the next call when the last is answered.
func (m *Mix) Closed(ctx context.Context, clients int, lasts time.Duration) []Part {
	r := m.newRun()
	until := time.Now().Add(lasts)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				r.call(ctx, r.draw[rand.IntN(len(r.draw))], time.Now())
			}
		})
	}
	group.Wait()
	return r.result()
}

// Open sends calls at random at a rate, whatever the answers, and waits for the
// last of them. Times count from the moment that a call was meant to be sent.
func (m *Mix) Open(ctx context.Context, perSecond float64, lasts time.Duration) []Part {
	r := m.newRun()
	slots := make(chan struct{}, maxInFlight)
	var group sync.WaitGroup
	meant := time.Now()
	for until := meant.Add(lasts); ; {
		meant = meant.Add(time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second)))
		if meant.After(until) || sleep(ctx, meant) != nil {
			break
		}
		kind, at := r.draw[rand.IntN(len(r.draw))], meant
		select {
		case slots <- struct{}{}:
			group.Go(func() {
				defer func() { <-slots }()
				r.call(ctx, kind, at)
			})
		default:
			r.file(kind, 0, 0, errors.New("not sent: the generator has too many calls under way"))
		}
	}
	group.Wait()
	return r.result()
}

// mixRun is one stretch of a mix.
type mixRun struct {
	*Mix
	id    string
	draw  []int // a share's index, as often as its percentage
	parts []Part

	mu   sync.Mutex
	next int
}

func (m *Mix) newRun() *mixRun {
	r := &mixRun{Mix: m, id: uuid.NewString()}
	for i, s := range m.Shares {
		r.draw = append(r.draw, slices.Repeat([]int{i}, s.Percent)...)
		r.parts = append(r.parts, Part{Share: s, answered: newHistogram(), refused: newHistogram()})
	}
	return r
}

func (r *mixRun) call(ctx context.Context, kind int, meant time.Time) {
	ctx, cancel := context.WithDeadline(ctx, meant.Add(r.Patience))
	defer cancel()
	headers := map[string]string{}
	if p := r.Shares[kind].Priority; p != "" {
		headers[shed.Header] = p
	}
	after, err := r.send(ctx, r.Shares[kind].Operation, headers)
	r.file(kind, time.Since(meant), after, err)
}

func (r *mixRun) send(ctx context.Context, operation string, headers map[string]string) (after time.Duration, err error) {
	r.mu.Lock()
	r.next++
	n := r.next
	r.mu.Unlock()
	if operation == "place" {
		headers["Idempotency-Key"] = r.id + "-" + strconv.Itoa(n)
		customer := "load-" + strconv.Itoa(n%buyers)
		res, after, err := api.Once(api.As(ctx, customer), r.Client, headers, r.Client.Orders.PlaceOrder, &ordersv1.PlaceOrderRequest{
			ShipTo: &ordersv1.Address{Country: "GB"},
			Lines:  []*ordersv1.LineRequest{{Sku: r.SKUs[rand.IntN(len(r.SKUs))], Quantity: 1}},
		})
		if err == nil {
			r.remember(res.GetOrder().GetOrderId(), customer)
		}
		return after, err
	}
	id, customer := r.some()
	ctx = api.As(ctx, customer)
	switch operation {
	case "cancel":
		_, after, err = api.Once(ctx, r.Client, headers, r.Client.Orders.CancelOrder, &ordersv1.CancelOrderRequest{OrderId: id})
		if connect.CodeOf(err) == connect.CodeFailedPrecondition {
			return 0, nil // it came too late, which is an answer
		}
	case "read":
		_, after, err = api.Once(ctx, r.Client, headers, r.Client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
	default:
		_, after, err = api.Once(ctx, r.Client, headers, r.Client.Orders.ListOrders, &ordersv1.ListOrdersRequest{PageSize: 50})
	}
	return after, err
}

func (m *Mix) remember(id, customer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted, m.customer = append(m.accepted, id), append(m.customer, customer)
}

// some returns an order that was accepted, and whose it is. Before the first it
// is nobody's, and reading it fails as it should.
func (m *Mix) some() (id, customer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.accepted) == 0 {
		return uuid.Nil.String(), "load-0"
	}
	i := rand.IntN(len(m.accepted))
	return m.accepted[i], m.customer[i]
}

func (r *mixRun) file(kind int, took, after time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.parts[kind]
	p.Sent++
	switch {
	case err == nil:
		p.OK++
		p.answered.add(took)
		return
	case api.Refusal(err) == shed.Reason:
		p.Shed++
	default:
		p.Failed++
		p.Failure = api.Refusal(err)
	}
	if connect.CodeOf(err) == connect.CodeUnavailable {
		p.refused.add(took)
		if after == 0 {
			p.Bare++
		}
	}
}

func (r *mixRun) result() []Part {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.parts {
		p := &r.parts[i]
		p.Answered, p.Refused = p.answered.latency(), p.refused.latency()
	}
	return r.parts
}

// Refusals is how long the refusals of all parts took.
func Refusals(parts []Part) Latency {
	all := newHistogram()
	for i := range parts {
		all.Merge(parts[i].refused.Histogram)
	}
	return all.latency()
}

// Goodput is the number of calls that were answered well.
func Goodput(parts []Part) int {
	ok := 0
	for i := range parts {
		ok += parts[i].OK
	}
	return ok
}
