package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
)

// brokerCommand runs kfake as a child of `up`, so that the broker can be killed
// and restarted like a real one.
func brokerCommand() *cobra.Command {
	var dir string
	var port int
	cmd := &cobra.Command{
		Use:    "broker",
		Short:  "Run the kfake broker (a child of up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBroker(cmd.Context(), dir, port)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "data directory")
	cmd.Flags().IntVar(&port, "port", 0, "port on 127.0.0.1")
	return cmd
}

func runBroker(ctx context.Context, dir string, port int) error {
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir), kfake.ClusterID("ballast-local"),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{
			// Without the first, retention runs once an hour. Small segments, since
			// only whole ones are dropped, and a start reads them all.
			"log.cleaner.backoff.ms": "5000",
			"log.segment.bytes":      strconv.Itoa(8 << 20),
		}),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)),
	)
	if err != nil {
		return fmt.Errorf("start the broker in %s: %w", dir, err)
	}
	// Reading the log back leaves garbage that would stay resident for minutes.
	debug.FreeOSMemory()
	<-ctx.Done()
	cluster.Close()
	return nil
}

// miniredisCommand stands in for redis-server where there is none.
func miniredisCommand() *cobra.Command {
	var port int
	cmd := &cobra.Command{
		Use:    "miniredis",
		Short:  "Run a Redis in memory (a child of up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
				return fmt.Errorf("start miniredis: %w", err)
			}
			defer server.Close()
			// Its clock stands still unless it is moved: entries would never expire.
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-cmd.Context().Done():
					return nil
				case <-tick.C:
					server.FastForward(time.Second)
				}
			}
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "port on 127.0.0.1")
	return cmd
}
