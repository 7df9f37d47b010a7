package main

import (
	"context"
	"fmt"

	"connectrpc.com/connect/v2"

	"example.com/ballast/gen/inventory/v1/inventoryv1connect"
	pkgcache "example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/faults"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/ratelimit"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/shed"
	"example.com/ballast/services/inventory/internal/cache"
	"example.com/ballast/services/inventory/internal/rpc"
)

// priorities say what is refused first in an overload: lists. What an operator changes
// is never refused.
func priorities() map[string]shed.Priority {
	return map[string]shed.Priority{
		inventoryv1connect.InventoryServiceUpsertProductsProcedure:   shed.Exempt,
		inventoryv1connect.InventoryServiceReceiveStockProcedure:     shed.Exempt,
		inventoryv1connect.InventoryServiceGetProductProcedure:       shed.Normal,
		inventoryv1connect.InventoryServiceListProductsProcedure:     shed.Low,
		inventoryv1connect.InventoryServiceListStockProcedure:        shed.Low,
		inventoryv1connect.InventoryServiceListReservationsProcedure: shed.Low,
	}
}

// newShedder refuses the least important calls while there is too much to do.
func newShedder(ctx context.Context, cfg Config, h *service.Host, backlogs shed.Backlogs) (*shed.Shedder, error) {
	c := cfg.Shed.Config(ctx, h.Flags, "inventory", backlogs)
	c.Logger, c.Priorities = h.Logger, priorities()
	shedder, err := shed.New(c)
	if err == nil {
		h.Go("shedder", shedder.Run)
	}
	return shedder, err
}

// serve mounts the API.
func serve(
	ctx context.Context, cfg Config, h *service.Host, redis *pkgcache.Redis, store guarded, products *cache.Products, shedder *shed.Shedder,
) error {
	verifier, err := edge.ReadVerifier(cfg.JWTPublicKeyFile)
	if err != nil {
		return fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
	}
	limiter, err := ratelimit.New(ratelimit.Config{
		Client: redis.Client, Logger: h.Logger, Limit: cfg.Rate.Limit(ctx, h.Flags, "inventory"),
	})
	if err != nil {
		return err
	}
	server, err := edge.NewServer(edge.Config{
		Logger: h.Logger, Verifier: verifier, Healthy: h.Healthy, Draining: h.Draining(), Transient: pg.Transient,
		TrustTraces: cfg.TrustTraceparent,
		Admit:       []connect.ServerInterceptor{shedder.Admit, faults.RPC(h.Flags, "inventory")},
		Limit:       []connect.ServerInterceptor{limiter.Interceptor},
	})
	if err != nil {
		return err
	}
	inventoryv1connect.RegisterInventoryServiceHandler(server.RPC, rpc.NewServer(store, products))
	handler, err := server.Handler()
	if err != nil {
		return err
	}
	h.Serve(handler)
	return nil
}
