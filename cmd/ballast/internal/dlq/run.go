package dlq

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"example.com/ballast/pkg/kafka"
)

// A step holds at most this many letters and about this many bytes: enough that
// its two round trips don't matter, and no more than a second's work.
const (
	stepLetters = 500
	stepBytes   = 4 << 20
)

// Options of a run.
type Options struct {
	Filter Filter
	// From is the kind of boxes to work off: Open, or Quarantined.
	From Kind
	// DryRun only says what would happen.
	DryRun bool
	// Limit is how many letters are moved at most; 0 means all.
	Limit int
	// Rate is how many letters a second are moved at most; 0 means as fast as it goes.
	Rate float64
	// Progress is told after each step how many letters of how many were moved.
	Progress func(done, total int)
}

// action is what a run does with the letters that its filter takes.
type action struct {
	// fate of a letter; Stays leaves it.
	fate func(*Letter) Fate
	// address returns the record to write for a letter.
	address func(Box, *Letter, Fate) *kgo.Record
	// kinds are the boxes that may have to be made.
	kinds []Kind
	// retries says that letters go to the retry topic, which must be there.
	retries bool
}

// boxPlan is how far a run goes in the partitions of a box: no further than the
// last letter that it moves, so that those behind it stay where they are.
type boxPlan struct {
	box    Box
	bounds []span
}

// run does what the action says to all letters that the filter takes.
func (d *Desk) run(ctx context.Context, o Options, a action) (*Report, error) {
	if o.From != Open && o.From != Quarantined {
		return nil, fmt.Errorf("letters can be taken from %s and %s, not from %q", Open, Quarantined, o.From)
	}
	plans, report, err := d.plan(ctx, o, a)
	if err != nil || o.DryRun {
		return report, err
	}
	w := &worker{desk: d, opt: o, act: a, judge: o.judge(a), total: report.Moved(), tally: Tally{}}
	if o.Rate > 0 {
		w.letters = int(min(max(math.Ceil(o.Rate), 1), stepLetters))
		w.limiter = rate.NewLimiter(rate.Limit(o.Rate), w.letters)
	} else {
		w.letters = stepLetters
	}
	for _, p := range plans {
		if err = w.work(ctx, p); err != nil {
			break
		}
	}
	return w.tally.report(false), err
}

// judge returns the fates of letters in the order in which it is asked about
// them, up to the limit.
func (o Options) judge(a action) func(*Letter) Fate {
	taken := 0
	return func(l *Letter) Fate {
		if !o.Filter.Takes(l) || l.Hollow && a.retries || o.Limit > 0 && taken == o.Limit {
			return Stays
		}
		fate := a.fate(l)
		if fate != Stays {
			taken++
		}
		return fate
	}
}

// plan reads everything and moves nothing.
func (d *Desk) plan(ctx context.Context, o Options, a action) ([]boxPlan, *Report, error) {
	boxes, err := d.Boxes(ctx, o.From, o.Filter.Group, o.Filter.Topic)
	if err != nil {
		return nil, nil, err
	}
	var plans []boxPlan
	tally, others, judge := Tally{}, 0, o.judge(a)
	for _, b := range boxes {
		spans, err := d.spans(ctx, b)
		if err != nil {
			return nil, nil, err
		}
		p := boxPlan{box: b}
		for _, s := range spans {
			bound, behind := int64(0), false
			_, err := d.scan(ctx, b.Name, s, func(r *kgo.Record) error {
				l := newLetter(b, r)
				fate := judge(l)
				if fate != Stays {
					bound = r.Offset + 1
				}
				behind = fate == Stays
				if o.Filter.Takes(l) {
					tally.Add(l, fate)
				} else {
					others++
				}
				return nil
			})
			if err != nil {
				return nil, nil, err
			}
			if bound > 0 && !behind {
				bound = s.to // Also past the markers that may end the log: then the lag is zero.
			}
			if bound > 0 {
				p.bounds = append(p.bounds, span{s.partition, s.from, bound})
			}
		}
		if p.bounds != nil {
			plans = append(plans, p)
		}
	}
	report := tally.report(true)
	report.Counts[Stays] += others
	return plans, report, nil
}

// worker carries out the plans of one run.
type worker struct {
	desk    *Desk
	opt     Options
	act     action
	judge   func(*Letter) Fate
	limiter *rate.Limiter
	letters int // of a step
	total   int
	done    int
	tally   Tally // of what is committed
}

// work moves the letters of one box.
func (w *worker) work(ctx context.Context, p boxPlan) (err error) {
	b := p.box
	s, err := w.desk.newStepper(ctx, b)
	if err != nil {
		return err
	}
	defer s.client.Close()
	written, err := w.prepare(ctx, s)
	if err != nil {
		return err
	}
	// Since the plan was made, whoever was there before may have gone on.
	now, err := w.desk.stableSpans(ctx, b)
	if err != nil {
		return err
	}
	defer func() {
		if !errors.Is(err, ErrTakenOver) {
			err = errors.Join(err, w.desk.tidy(ctx, b, written...))
		}
	}()
	for _, open := range now {
		for _, bound := range p.bounds {
			if bound.partition == open.partition {
				open.to = min(open.to, bound.to)
				if err := w.partition(ctx, s, open); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// prepare makes the boxes that letters may go to and names all topics that are
// written to. It asks by the stepper's client: the desk's would remember for a
// while that they are not there.
func (w *worker) prepare(ctx context.Context, s *stepper) ([]string, error) {
	b := s.box
	var written []string
	var own []kafka.Topic
	for _, kind := range w.act.kinds {
		written = append(written, b.sibling(kind))
		own = append(own, boxTopic(b, kind))
	}
	if own != nil {
		if err := kafka.EnsureTopics(ctx, s.client, own); err != nil {
			return nil, fmt.Errorf("make %v: %w", written, err)
		}
	}
	if w.act.retries {
		retry := kafka.RetryTopic(b.Topic, b.Group)
		have, err := w.desk.admin.ListTopics(ctx, retry)
		if err != nil {
			return nil, fmt.Errorf("list topics: %w", err)
		}
		if !have.Has(retry) || have[retry].Err != nil {
			return nil, fmt.Errorf("there is no topic %s, so no consumer of group %s would read what is replayed: its service makes it when it starts", retry, b.Group)
		}
		written = append(written, retry)
	}
	return written, nil
}

// batch is what one step will write.
type batch struct {
	records []*kgo.Record
	letters []*Letter
	fates   []Fate
	bytes   int
}

// partition moves the letters of one partition, step by step.
func (w *worker) partition(ctx context.Context, s *stepper, open span) error {
	var b batch
	next, err := w.desk.scan(ctx, s.box.Name, open, func(r *kgo.Record) error {
		// A full step waits for one more record, or for the end: so the last one
		// also comes past the markers.
		if len(b.records) >= w.letters || b.bytes >= stepBytes {
			if err := w.flush(ctx, s, open.partition, r.Offset, &b); err != nil {
				return err
			}
		}
		l := newLetter(s.box, r)
		fate := w.judge(l)
		out := back(s.box, r)
		if fate != Stays {
			out = w.act.address(s.box, l, fate)
		}
		b.records, b.letters, b.fates = append(b.records, out), append(b.letters, l), append(b.fates, fate)
		b.bytes += l.Bytes
		return nil
	})
	if err != nil || len(b.records) == 0 {
		return err
	}
	return w.flush(ctx, s, open.partition, next, &b)
}

// back returns a letter that was passed over to the end of its own box, as it is
// and as old as it is.
func back(b Box, r *kgo.Record) *kgo.Record {
	return &kgo.Record{Topic: b.Name, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
}

// flush makes one step of the batch and empties it.
func (w *worker) flush(ctx context.Context, s *stepper, partition int32, next int64, b *batch) error {
	moved := 0
	for _, fate := range b.fates {
		if fate != Stays {
			moved++
		}
	}
	if w.limiter != nil {
		if err := w.limiter.WaitN(ctx, moved); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.step(ctx, partition, next, b.records); err != nil {
		return err
	}
	for i, l := range b.letters {
		if b.fates[i] != Stays {
			w.tally.Add(l, b.fates[i])
		}
	}
	w.done += moved
	if w.opt.Progress != nil {
		w.opt.Progress(w.done, w.total)
	}
	*b = batch{}
	return nil
}
