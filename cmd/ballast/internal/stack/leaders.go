package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/ballast/pkg/lease"
)

// Leader is a lease with the process that leads by it.
type Leader struct {
	// Lease is the name behind that of the service whose database has it.
	Lease string `json:"lease"`
	// Child leads, as the process PID; both are zero while nobody does.
	Child string `json:"child,omitempty"`
	PID   int    `json:"pid,omitempty"`
	// Epoch of the latest term that is known of, and when it began.
	Epoch int64     `json:"epoch"`
	Since time.Time `json:"since,omitzero"`
}

// Leaders asks every service of the stack which leases it wants or has. A process
// that does not answer, because it is paused or gone, is left out.
func Leaders(ctx context.Context, s State) []Leader {
	var mu sync.Mutex
	var group sync.WaitGroup
	known := map[string]Leader{}
	for _, c := range s.Children {
		url, ok := s.Endpoints.Admin[c.Name]
		service, _, _ := strings.Cut(c.Name, "-")
		if !ok || !slices.Contains(services[:], service) {
			continue
		}
		group.Go(func() {
			for _, l := range leases(ctx, url) {
				found := Leader{Lease: service + "/" + l.Name, Epoch: l.Epoch}
				if l.Leading {
					found.Child, found.PID, found.Since = c.Name, c.PID, l.Since
				}
				mu.Lock()
				if before, ok := known[found.Lease]; !ok || later(found, before) {
					known[found.Lease] = found
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	leaders := make([]Leader, 0, len(known))
	for _, l := range known {
		leaders = append(leaders, l)
	}
	slices.SortFunc(leaders, func(a, b Leader) int { return strings.Compare(a.Lease, b.Lease) })
	return leaders
}

// later tells which of two terms is the newer one; one that goes on counts more.
func later(a, b Leader) bool {
	if c := cmp.Compare(a.Epoch, b.Epoch); c != 0 {
		return c > 0
	}
	return a.Child != "" && b.Child == ""
}

// leases asks one process.
func leases(ctx context.Context, admin string) []lease.State {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/leases", nil)
	if err != nil {
		return nil
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var states []lease.State
	if json.NewDecoder(res.Body).Decode(&states) != nil {
		return nil
	}
	return states
}
