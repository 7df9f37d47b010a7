package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"example.com/ballast/services/provider/internal/faults"
)

// Admin returns the handler of the admin listener: the faults, liveness,
// readiness and profiles. It must never be public.
func Admin(f *faults.Faults, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(f.Settings()) // a caller that has gone can't be told
	}
	mux.HandleFunc("GET /faults", show)
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		settings, err := faults.Parse(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.Set(settings)
		logger.Info("faults set", "faults", settings)
		show(w, r)
	})
	for _, probe := range []string{"GET /livez", "GET /readyz", "GET /startupz"} {
		mux.HandleFunc(probe, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("ok\n"))
		})
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}
