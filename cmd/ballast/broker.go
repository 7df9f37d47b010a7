package main

import (
	"context"
	"errors"
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
	var dir, advertised string
	var port int
	cmd := &cobra.Command{
		Use:    "broker",
		Short:  "Run the kfake broker (a child of up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBroker(cmd.Context(), dir, port, advertised)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "data directory")
	cmd.Flags().StringVar(&advertised, "advertised", "", "host:port that clients are told to use, such as a proxy's (default: the broker's own)")
	cmd.Flags().IntVar(&port, "port", 0, "port on 127.0.0.1")
	return cmd
}

func runBroker(ctx context.Context, dir string, port int, advertised string) error {
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir), kfake.ClusterID("ballast-local"),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			return listenAs(ctx, network, address, advertised)
		}),
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

// elsewhere is a listener that says it listens at another address: kfake tells
// clients what its listener says.
type elsewhere struct {
	net.Listener

	addr net.Addr
}

func (e elsewhere) Addr() net.Addr { return e.addr }

func listenAs(ctx context.Context, network, address, advertised string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil || advertised == "" {
		return listener, err
	}
	addr, err := net.ResolveTCPAddr("tcp", advertised)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--advertised: %w", err), listener.Close())
	}
	return elsewhere{listener, addr}, nil
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
