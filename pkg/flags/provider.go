package flags

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/open-feature/go-sdk/openfeature"
)

// provider answers OpenFeature from the rules in force.
type provider struct {
	rules *atomic.Pointer[map[string]Rule]
}

var _ openfeature.FeatureProvider = provider{}

func (provider) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: "file"} }
func (provider) Hooks() []openfeature.Hook      { return nil }

func (p provider) BooleanEvaluation(_ context.Context, flag string, fallback bool, in openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	return resolve(p, flag, fallback, in)
}

func (p provider) StringEvaluation(_ context.Context, flag, fallback string, in openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	return resolve(p, flag, fallback, in)
}

func (p provider) FloatEvaluation(_ context.Context, flag string, fallback float64, in openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	return resolve(p, flag, fallback, in)
}

// IntEvaluation rounds: JSON has one kind of number.
func (p provider) IntEvaluation(_ context.Context, flag string, fallback int64, in openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	d := resolve(p, flag, float64(fallback), in)
	return openfeature.IntResolutionDetail{Value: int64(math.Round(d.Value)), ProviderResolutionDetail: d.ProviderResolutionDetail}
}

func (p provider) ObjectEvaluation(_ context.Context, flag string, fallback any, in openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return resolve(p, flag, fallback, in)
}

// resolve is the one evaluation behind all of them.
func resolve[T any](p provider, flag string, fallback T, in openfeature.FlattenedContext) (d openfeature.GenericResolutionDetail[T]) {
	d.Value, d.Reason = fallback, openfeature.DefaultReason
	rule, ok := (*p.rules.Load())[flag]
	if !ok {
		return d
	}
	subject, _ := in[openfeature.TargetingKey].(string)
	if !rule.holds(flag, subject) {
		d.Reason = openfeature.SplitReason
		return d
	}
	value, ok := rule.Value.(T)
	if !ok {
		d.Reason = openfeature.ErrorReason
		d.ResolutionError = openfeature.NewTypeMismatchResolutionError(fmt.Sprintf("%s is %v", flag, rule.Value))
		return d
	}
	d.Value, d.Reason = value, openfeature.StaticReason
	if rule.Percent != nil {
		d.Reason = openfeature.SplitReason
	}
	return d
}
