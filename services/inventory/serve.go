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

// serve mounts the API.
func serve(
	ctx context.Context, cfg Config, h *service.Host, redis *pkgcache.Redis, store guarded, products *cache.Products, backlogs shed.Backlogs,
) error {
	verifier, err := edge.ReadVerifier(cfg.JWTPublicKeyFile)
	if err != nil {
		return fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
	}
	shedding := cfg.Shed.Config(ctx, h.Flags, "inventory", backlogs)
	shedding.Logger, shedding.Priorities = h.Logger, priorities()
	shedder, err := shed.New(shedding)
	if err != nil {
		return err
	}
	h.Go("shedder", shedder.Run)
	limiter, err := ratelimit.New(ratelimit.Config{
		Client: redis.Client, Logger: h.Logger, Limit: cfg.Rate.Limit(ctx, h.Flags, "inventory"),
	})
	if err != nil {
		return err
	}
	server, err := edge.NewServer(edge.Config{
		Logger: h.Logger, Verifier: verifier, Healthy: h.Healthy, Draining: h.Draining(), Transient: pg.Transient,
		Admit: []connect.ServerInterceptor{shedder.Admit, faults.RPC(h.Flags, "inventory")},
		Limit: []connect.ServerInterceptor{limiter.Interceptor},
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
