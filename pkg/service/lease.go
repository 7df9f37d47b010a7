package service

import (
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/lease"
)

// leaseTTL is how long after a crash a leader's work stands still.
const leaseTTL = 5 * time.Second

// Lease makes this process a candidate for a lease of the service's database. The
// admin listener shows it at /leases.
func (h *Host) Lease(pool *pgxpool.Pool, name string) *lease.Lease {
	host, _ := os.Hostname() // the process's number says enough without it
	l := lease.New(pool, name, fmt.Sprintf("%s/%d", host, os.Getpid()), leaseTTL)
	l.Logger = h.Logger
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases = append(h.leases, l)
	return l
}

// candidacies are the leases that this process wants or has.
func (h *Host) candidacies() []*lease.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leases
}
