package main

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"

	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/shed"
	"example.com/ballast/services/orders/internal/rpc"
)

// priorities say what is refused first in an overload: what is low. Taking orders
// is what this service is for, and a list of them can be looked at tomorrow.
func priorities() map[string]shed.Priority {
	return map[string]shed.Priority{
		ordersv1connect.OrderServiceResumeOrderProcedure:     shed.Exempt, // an operator's
		ordersv1connect.OrderServiceSettleOrderProcedure:     shed.Exempt,
		ordersv1connect.OrderServicePlaceOrderProcedure:      shed.Critical,
		ordersv1connect.OrderServiceCancelOrderProcedure:     shed.High,
		ordersv1connect.OrderServiceGetOrderProcedure:        shed.Normal,
		ordersv1connect.OrderServiceGetOrderHistoryProcedure: shed.Normal,
		ordersv1connect.OrderServiceWatchOrderProcedure:      shed.Normal,
		ordersv1connect.OrderServiceListOrdersProcedure:      shed.Low,
	}
}

// newShedder refuses the least important calls while there is too much to do.
func newShedder(ctx context.Context, host *service.Host, cfg Config, backlogs shed.Backlogs) (*shed.Shedder, error) {
	c := cfg.Shed.Config(ctx, host.Flags, "orders", backlogs)
	c.Logger, c.Priorities = host.Logger, priorities()
	shedder, err := shed.New(c)
	if err == nil {
		host.Go("shedder", shedder.Run)
	}
	return shedder, err
}

// serve opens the public listener's handler.
func serve(ctx context.Context, host *service.Host, cfg Config, redis *cache.Redis, shedder *shed.Shedder, orders rpc.Orders) error {
	verifier, err := edge.ReadVerifier(cfg.JWTPublicKeyFile)
	if err != nil {
		return fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
	}
	limiter, err := ratelimit.New(ratelimit.Config{
		Client: redis.Client, Logger: host.Logger, Limit: cfg.Rate.Limit(ctx, host.Flags, "orders"),
	})
	if err != nil {
		return err
	}
	server, err := edge.NewServer(edge.Config{
		Logger: host.Logger, Verifier: verifier, Healthy: host.Healthy, Draining: host.Draining(), Transient: pg.Transient,
		TrustTraces: cfg.TrustTraceparent,
		Admit:       []connect.ServerInterceptor{shedder.Admit, faults.RPC(host.Flags, "orders")},
		Limit:       []connect.ServerInterceptor{limiter.Interceptor},
	})
	if err != nil {
		return err
	}
	ordersv1connect.RegisterOrderServiceHandler(server.RPC, rpc.New(orders))
	handler, err := server.Handler()
	if err != nil {
		return err
	}
	host.Serve(handler)
	return nil
}
