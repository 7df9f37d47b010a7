package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/pkg/telemetry"
)

// recorded begins a trace that is recorded whatever the services' sampler says, as
// long as they trust their callers (TRUST_TRACEPARENT). Its root is a span of this
// command, which end writes beside theirs.
func recorded(ctx context.Context, home stack.Home, name string) (within context.Context, end func() error, err error) {
	exporter, err := telemetry.TracesTo(ctx, home.Path("traces", "ballast.jsonl"))
	if err != nil {
		return nil, nil, fmt.Errorf("--trace needs the stack's home directory: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "ballast"))))
	ctx, span := provider.Tracer("example.com/ballast/cmd/ballast").Start(ctx, name)
	return ctx, func() error {
		span.End()
		return provider.Shutdown(context.WithoutCancel(ctx))
	}, nil
}
