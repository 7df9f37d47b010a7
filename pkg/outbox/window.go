package outbox

import (
	"slices"
	"time"
)

const (
	// gapAge is how long an id that was skipped is looked for at every turn. A
	// transaction that takes longer from its insert to its commit is found by
	// the scan, which runs about as often.
	gapAge = time.Second
	// maxGaps bounds the ids looked for: chosen by judgement, well above the
	// transactions that a pool has in flight.
	maxGaps = 256
)

// window remembers which ids need no second look. It makes reading cheap; it
// decides nothing about what is published.
type window struct {
	hint  int64               // Ids up to here were seen, or are in gaps, or are left to the scan.
	gaps  map[int64]time.Time // Ids up to hint that were not there, and since when.
	acked map[int64]bool      // Published and not yet deleted.
}

func newWindow() *window {
	return &window{gaps: map[int64]time.Time{}, acked: map[int64]bool{}}
}

// saw records the ids that a select returned, in rising order: all that there
// are above the hint up to the last of them, and some of the gaps.
func (w *window) saw(ids []int64, now time.Time) {
	for _, id := range ids {
		delete(w.gaps, id)
		if id <= w.hint {
			continue
		}
		// Before the first row nothing is known about the ids below it. After
		// a big jump only the newest can still belong to running transactions.
		if w.hint > 0 {
			for gap := max(w.hint+1, id-maxGaps); gap < id; gap++ {
				w.gaps[gap] = now
			}
		}
		w.hint = id
	}
	w.forget(now)
}

// found adds rows that the scan saw below the hint.
func (w *window) found(ids []int64, now time.Time) {
	for _, id := range ids {
		if id <= w.hint && !w.acked[id] {
			w.gaps[id] = now
		}
	}
}

// stepBack makes the next select start at id again.
func (w *window) stepBack(id int64) {
	w.hint = min(w.hint, id-1)
	for gap := range w.gaps {
		if gap > w.hint {
			delete(w.gaps, gap)
		}
	}
}

// forget leaves gaps to the scan that are old, or too many.
func (w *window) forget(now time.Time) {
	for id, since := range w.gaps {
		if now.Sub(since) > gapAge {
			delete(w.gaps, id)
		}
	}
	if len(w.gaps) > maxGaps {
		ids := w.wanted()
		for _, id := range ids[:len(ids)-maxGaps] {
			delete(w.gaps, id)
		}
	}
}

// wanted returns the gaps in rising order.
func (w *window) wanted() []int64 {
	ids := make([]int64, 0, len(w.gaps))
	for id := range w.gaps {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// pending returns the ids that wait for their deletion.
func (w *window) pending() []int64 {
	ids := make([]int64, 0, len(w.acked))
	for id := range w.acked {
		ids = append(ids, id)
	}
	slices.Sort(ids) // Deletes lock rows in one order everywhere.
	return ids
}
