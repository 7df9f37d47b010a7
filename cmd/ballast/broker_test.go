package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBrokerNamesAnotherAddress: clients are told to go where a proxy stands.
func TestBrokerNamesAnotherAddress(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is one
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- runBroker(ctx, t.TempDir(), port, "127.0.0.1:9") }()
	client, err := kgo.NewClient(kgo.SeedBrokers(listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	brokers, err := admin.ListBrokers(ctx)
	for err != nil && ctx.Err() == nil { // The broker may not listen yet.
		brokers, err = admin.ListBrokers(ctx)
	}
	if err != nil || len(brokers) != 1 || brokers[0].Host != "127.0.0.1" || brokers[0].Port != 9 {
		t.Errorf("brokers %+v, %v", brokers, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
