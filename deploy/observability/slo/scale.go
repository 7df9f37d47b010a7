package slo

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// The least durations of scaled rules. Prometheus evaluates each second at the most;
// a range must hold some scrapes, which a drill makes each second.
const (
	leastWait  = time.Second
	leastRange = 5 * time.Second
)

// scale multiplies durations. At 1 they stay as they were written.
type scale float64

// wait scales what a rule waits: for, keep_firing_for, interval.
func (s scale) wait(text string) string { return s.duration(text, leastWait) }

// span scales what a rule looks back.
func (s scale) span(text string) string { return s.duration(text, leastRange) }

// seconds is a scaled duration as a number in an expression.
func seconds(text string) string {
	d, _ := parseDuration(text) // It was validated, or written here.
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// expr scales the ranges of an expression.
func (s scale) expr(text string) string {
	return ranges.ReplaceAllStringFunc(text, func(r string) string {
		if !simple.MatchString(r) {
			return r // A class of characters.
		}
		return "[" + s.span(r[1:len(r)-1]) + "]"
	})
}

func (s scale) duration(text string, least time.Duration) string {
	d, err := parseDuration(text)
	if err != nil || s == 1 {
		return text
	}
	scaled := time.Duration(float64(d) * float64(s)).Round(time.Millisecond)
	return format(max(scaled, min(d, least)))
}

// parseDuration reads a duration as Prometheus writes it, which must be more than zero.
func parseDuration(text string) (time.Duration, error) {
	d, err := model.ParseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("no time at all")
	}
	return time.Duration(d), err
}

func format(d time.Duration) string { return model.Duration(d).String() }
