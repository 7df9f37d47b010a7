package main

import (
	"fmt"

	"connectrpc.com/connect/v2"

	"example.com/ballast/gen/payments/v1/paymentsv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/service"
	"example.com/ballast/services/payments/internal/rpc"
)

// serve opens the public listener's handler: for operators, see rpc, and for the
// provider's events.
func serve(host *service.Host, cfg Config, payments rpc.Payments, events func(*edge.Server)) error {
	verifier, err := edge.ReadVerifier(cfg.JWTPublicKeyFile)
	if err != nil {
		return fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
	}
	server, err := edge.NewServer(edge.Config{
		Logger: host.Logger, Verifier: verifier, Healthy: host.Healthy, Draining: host.Draining(),
		Admit: []connect.ServerInterceptor{faults.RPC(host.Flags, "payments")},
	})
	if err != nil {
		return err
	}
	paymentsv1connect.RegisterPaymentServiceHandler(server.RPC, rpc.New(payments))
	events(server)
	handler, err := server.Handler()
	if err == nil {
		host.Serve(handler)
	}
	return err
}
