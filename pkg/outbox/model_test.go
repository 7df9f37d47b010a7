package outbox

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/ballast/pkg/message"
)

// However producing fails, what is published last of every key is in order and
// complete, and nothing dead is sent.
func TestSettleKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "rows")
		rest := make([][]message.Message, n)
		next := map[string]int64{}
		for i := range rest {
			for range rapid.IntRange(1, 4).Draw(t, "messages") {
				k := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
				next[k]++
				rest[i] = append(rest[i], message.Message{Topic: "t", Key: []byte(k), Version: next[k]})
			}
		}
		var log []message.Message
		dead := map[string]map[int64]bool{"a": {}, "b": {}}
		for turn := 0; slices.ContainsFunc(rest, func(r []message.Message) bool { return len(r) > 0 }); turn++ {
			var items []item
			for i, msgs := range rest {
				for _, m := range msgs {
					it := item{row: i, msg: m}
					// The fifth turn and the ones after it are without faults.
					switch outcome := rapid.IntRange(0, 5).Draw(t, "outcome"); {
					case outcome == 0 && turn < 4:
						it.err = errors.New("unknown")
					case outcome == 1 && turn < 4:
						it.reason = "hopeless"
					default:
						log = append(log, m)
					}
					items = append(items, it)
				}
			}
			for i, res := range settle(n, items) {
				rest[i] = res.keep
				for _, it := range res.dead {
					dead[string(it.msg.Key)][it.msg.Version] = true
				}
			}
		}
		last := map[string]map[int64]int{"a": {}, "b": {}}
		for at, m := range log {
			last[string(m.Key)][m.Version] = at
		}
		for k, count := range next {
			at := -1
			for v := int64(1); v <= count; v++ {
				i, there := last[k][v]
				switch {
				case !there && !dead[k][v]:
					t.Fatalf("%s%d was never published", k, v)
				case there && !dead[k][v] && i < at:
					t.Fatalf("%s%d was last published before an older one", k, v)
				case there && !dead[k][v]:
					at = i
				}
			}
		}
	})
}

func TestSettleWithoutKeyKnowsNoOrder(t *testing.T) {
	t.Parallel()
	items := []item{
		{row: 0, msg: message.Message{Topic: "t", ID: "1"}, err: errors.New("unknown")},
		{row: 1, msg: message.Message{Topic: "t", ID: "2"}},
	}
	got := settle(2, items)
	want := []settled{{keep: []message.Message{items[0].msg}}, {}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settled{}, item{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever the order of commits, every row is seen, and none twice unless the
// relay stepped back.
func TestWindowSeesEveryRowOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, now := newWindow(), time.Unix(0, 0)
		next, seen := int64(1), map[int64]int{}
		var running []int64       // ids of transactions that have not committed
		table := map[int64]bool{} // committed and not deleted
		look := func(limit int) {
			var ids []int64
			for _, id := range w.wanted() {
				if table[id] && id <= w.hint {
					ids = append(ids, id)
				}
			}
			above := 0
			for id := w.hint + 1; id < next && above < limit; id++ {
				if table[id] {
					ids = append(ids, id)
					above++
				}
			}
			w.saw(ids, now)
			for _, id := range ids {
				if !w.acked[id] {
					seen[id]++
					w.acked[id] = true
				}
			}
		}
		scan := func() {
			var below []int64
			for id := range table {
				if id <= w.hint {
					below = append(below, id)
				}
			}
			w.found(below, now)
		}
		commit := func(i int) {
			table[running[i]] = true
			running = slices.Delete(running, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) { running = append(running, next); next++ },
			"commit": func(t *rapid.T) {
				if len(running) > 0 {
					commit(rapid.IntRange(0, len(running)-1).Draw(t, "which"))
				}
			},
			"roll back": func(*rapid.T) {
				if len(running) > 0 {
					running = running[1:]
				}
			},
			"look": func(*rapid.T) { look(3) },
			"scan": func(*rapid.T) { scan() },
			"wait": func(*rapid.T) { now = now.Add(gapAge * 2 / 3) },
			"flush": func(*rapid.T) {
				for _, id := range w.pending() {
					delete(table, id)
				}
				clear(w.acked)
			},
		})
		for len(running) > 0 {
			commit(0)
		}
		scan()
		for range next {
			look(3)
		}
		for id := range table {
			if seen[id] == 0 {
				t.Fatalf("row %d was never seen", id)
			}
		}
		for id, n := range seen {
			if n != 1 {
				t.Fatalf("row %d was seen %d times", id, n)
			}
		}
	})
}

func TestWindowForgetsGapsButNotTheNewest(t *testing.T) {
	t.Parallel()
	w, now := newWindow(), time.Unix(0, 0)
	w.saw([]int64{1, 100_000}, now)
	if got := w.wanted(); len(got) != maxGaps || got[0] != 100_000-maxGaps || got[maxGaps-1] != 99_999 {
		t.Errorf("gaps %v; want the %d below 100000", got, maxGaps)
	}
	w.saw(nil, now.Add(gapAge+1))
	if got := w.wanted(); len(got) != 0 {
		t.Errorf("old gaps are still looked for: %v", got)
	}
}
