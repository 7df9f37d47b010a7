package edge_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/ballast/pkg/edge"
)

// A stream has no deadline, and ends with Unavailable when the process drains,
// so that its client reconnects to another replica.
func TestStreamEndsWhenDraining(t *testing.T) {
	t.Parallel()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	token, err := edge.Sign(keys.Private, edge.Identity{Customer: "alice"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	draining := make(chan struct{})
	server, err := edge.NewServer(edge.Config{
		Logger: slog.New(slog.DiscardHandler), Verifier: edge.NewVerifier(keys.Public), Draining: draining,
	})
	if err != nil {
		t.Fatal(err)
	}
	spec := connect.Spec{StreamType: connect.StreamTypeServer, Procedure: "/test.Service/Watch"}
	server.RPC.Register(connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
		var name wrapperspb.StringValue
		if err := stream.Receive(&name); err != nil {
			return err
		}
		if _, has := ctx.Deadline(); has {
			return errors.New("a stream with a deadline")
		}
		if err := stream.Send(wrapperspb.String("hello " + name.GetValue())); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	handler, err := server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(handler)
	t.Cleanup(hs.Close)
	client := edge.NewClient(hs.URL, token, connecthttp.WithProtoJSON())
	stream, err := client.CallServerStream(t.Context(), spec, wrapperspb.String("alice"))
	if err != nil {
		t.Fatal(err)
	}
	var got wrapperspb.StringValue
	if err := stream.Receive(&got); err != nil || got.GetValue() != "hello alice" {
		t.Fatalf("%q, %v", got.GetValue(), err)
	}
	close(draining)
	if err := stream.Receive(&got); connect.CodeOf(err) != connect.CodeUnavailable || errors.Is(err, io.EOF) {
		t.Errorf("after draining: %v", err)
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
}
