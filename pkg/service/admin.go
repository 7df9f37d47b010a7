package service

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"example.com/ballast/pkg/lease"
)

// mountAdmin serves what operators and probes ask.
func (h *Host) mountAdmin(settings map[string]string) {
	h.Admin.Handle("GET /metrics", h.Telemetry.Metrics)
	h.Admin.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	h.Admin.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := h.Healthy(r.Context()); err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	h.Admin.HandleFunc("GET /startupz", func(w http.ResponseWriter, _ *http.Request) {
		if !h.started.Load() {
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": "starting"})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "started"})
	})
	h.Admin.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, settings)
	})
	h.Admin.Handle("GET /flags", h.Flags)
	lease.Mount(h.Admin, h.candidacies, func(ctx context.Context) bool {
		return h.Flags.Bool(ctx, h.cfg.Name+".fault-lease-stall", false, "")
	})
	h.Admin.HandleFunc("/debug/pprof/", pprof.Index)
	h.Admin.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	h.Admin.HandleFunc("/debug/pprof/profile", pprof.Profile)
	h.Admin.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	h.Admin.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

// answer writes JSON with a line break, so that curl ends on its own line. A
// client that has gone away is nobody's error.
func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
