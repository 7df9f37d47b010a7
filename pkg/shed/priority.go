package shed

import (
	"math/rand/v2"
	"strings"

	"connectrpc.com/connect/v2"
)

// Priority of a call: the lowest is shed first.
type Priority int

// The priorities, lowest first.
const (
	// Low is what nobody waits for: lists, reports, prefetching.
	Low Priority = iota
	// Normal is a read.
	Normal
	// High is a write.
	High
	// Critical is what the service exists for.
	Critical
	// Exempt calls are never shed and take no place: an operator's, who must get
	// in while customers don't. A caller can't ask for it.
	Exempt
)

var names = [...]string{Low: "low", Normal: "normal", High: "high", Critical: "critical", Exempt: "exempt"}

func (p Priority) String() string { return names[p] }

// Header is where a client says that a call matters less than others of its
// kind: low, normal, high or critical. It can only lower the operation's own
// priority, because everybody's own call is critical to himself.
const Header = "X-Request-Priority"

// Parse reads a name. Exempt has none that a client could send.
func Parse(name string) (Priority, bool) {
	for p := Low; p < Exempt; p++ {
		if strings.EqualFold(name, names[p]) {
			return p, true
		}
	}
	return Low, false
}

// of returns the priority of a call: the lower one of its operation's and of the
// header's. A header that says nothing known says nothing.
func (s *Shedder) of(spec connect.Spec, asked string) Priority {
	own, listed := s.cfg.Priorities[spec.Procedure]
	switch {
	case listed:
	case spec.IdempotencyLevel == connect.IdempotencyNoSideEffects:
		own = Normal
	default:
		own = High
	}
	if wanted, ok := Parse(asked); ok && own != Exempt {
		return min(own, wanted)
	}
	return own
}

// levels is the number of levels within one priority. A call draws one of them, so
// that pressure can refuse a share of a priority.
const levels = 100

func (p Priority) level() int { return int(p)*levels + rand.IntN(levels) }
