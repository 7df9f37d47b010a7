package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func statusCommand(home func() stack.Home) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs; the exit code is 0 when all of it is ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := stack.Inspect(cmd.Context(), home())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			leaders, caches := stack.Leaders(cmd.Context(), s), stack.Caches(cmd.Context(), s)
			if asJSON {
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				err = enc.Encode(struct {
					stack.State
					Leaders []stack.Leader `json:"leaders"`
					Caches  []stack.Cache  `json:"caches"`
				}{s, leaders, caches})
			} else if err = printStatus(out, s, leaders); err == nil {
				err = printCaches(out, caches)
			}
			if err == nil && !s.AllReady() {
				err = exitCode(1)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(out io.Writer, s stack.State, leaders []stack.Leader) error {
	fmt.Fprintf(out, "%s since %s (supervisor: process %d)\n\n", s.Phase, s.Since.Format("2006-01-02 15:04:05"), s.Supervisor.PID)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tPID\tRESTARTS\tADDRESS\tLOG")
	for _, c := range s.Children {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", c.Name, c.State, c.PID, c.Restarts, c.Address, c.Log)
	}
	if err := w.Flush(); err != nil || len(leaders) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nLEADS\tPROCESS\tPID\tEPOCH\tSINCE")
	for _, l := range leaders {
		if l.Child == "" {
			fmt.Fprintf(w, "%s\tnobody\t\t%d\t\n", l.Lease, l.Epoch)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", l.Lease, l.Child, l.PID, l.Epoch, time.Since(l.Since).Round(time.Second))
	}
	return w.Flush()
}

// printCaches has a line for each cache of each process. Keys, memory and evictions
// are those of its Redis, which the replicas of a service share.
func printCaches(out io.Writer, caches []stack.Cache) error {
	if len(caches) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nCACHE\tHITS\tMISSES\tSTALE\tERRORS\tKEYS\tMEMORY\tEVICTED\tREDIS")
	for _, c := range caches {
		redis := "\t\t\t" + c.Error
		if i := c.Redis; i != nil {
			redis = fmt.Sprintf("%d\t%.1f of %.0f MB\t%d\t%s, breaker %s", i.Keys, megabytes(i.Memory), megabytes(i.MaxMemory), i.Evicted, i.Policy, c.Breaker)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Caches)) {
			n := c.Caches[name]
			fmt.Fprintf(w, "%s/%s\t%d\t%d\t%d\t%d\t%s\n", c.Child, name, n["hit"]+n["negative"], n["miss"], n["stale"]+n["degraded"], n["error"], redis)
		}
	}
	return w.Flush()
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
