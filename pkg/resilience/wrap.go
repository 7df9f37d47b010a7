package resilience

import "context"

// Wrap returns fn behind the guard, for wiring: neither the caller nor fn knows.
func Wrap[A, B any](g *Guard, fn func(context.Context, A) (B, error)) func(context.Context, A) (B, error) {
	return func(ctx context.Context, a A) (B, error) {
		return Do(ctx, g, func(ctx context.Context) (B, error) { return fn(ctx, a) })
	}
}

// Run is Do for a function that only fails or does not.
func Run(ctx context.Context, g *Guard, fn func(context.Context) error) error {
	_, err := Do(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}
