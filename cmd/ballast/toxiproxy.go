package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// toxiproxyCommand runs the proxies of `up --proxied` as its child.
func toxiproxyCommand() *cobra.Command {
	var listen string
	var proxies []string
	var ask bool
	cmd := &cobra.Command{
		Use:    "toxiproxy",
		Short:  "Run the proxies that network faults are made with (a child of up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask {
				return askToxiproxy(cmd.Context(), listen)
			}
			return runToxiproxy(cmd.Context(), listen, proxies)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "host:port of the API that takes faults")
	cmd.Flags().BoolVar(&ask, "ask", false, "ask the API at --listen whether it answers, and run nothing: a health check")
	// Not a slice flag: that would split at the commas.
	cmd.Flags().StringArrayVar(&proxies, "proxy", nil, "name,listen,upstream of a proxy, may be repeated")
	return cmd
}

func askToxiproxy(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/version", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func runToxiproxy(ctx context.Context, listen string, proxies []string) error {
	logger := zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), logger)
	for _, text := range proxies {
		parts := strings.Split(text, ",")
		if len(parts) != 3 {
			return fmt.Errorf("--proxy %s: want name,listen,upstream", text)
		}
		if err := server.Collection.Add(toxiproxy.NewProxy(server, parts[0], parts[1], parts[2]), true); err != nil {
			return fmt.Errorf("proxy %s: %w", parts[0], err)
		}
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	// The API answers when all proxies do. It can't be stopped: it ends with the
	// process, which ends when ctx does.
	go server.Listen(host, port)
	<-ctx.Done()
	return nil
}
