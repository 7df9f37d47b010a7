package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// adminTimeout bounds one call of an operator.
	adminTimeout = 10 * time.Second
	// maxPage bounds a page of dead rows, maxVerdict the body of a decision: some
	// ten thousand ids.
	maxPage, maxVerdict = 1000, 256 << 10
)

// Mount serves the dead rows on a service's admin listener:
//
//	GET  /outbox/dead?after=ID&limit=N&all=true  {"dead": [...]}, the open ones unless all
//	GET  /outbox/dead/{id}                       one row, with its values
//	POST /outbox/dead/replay                     a Verdict; answers {"done": [ids]}
//	POST /outbox/dead/discard                    the same
func (r *Relay) Mount(admin *http.ServeMux) {
	admin.HandleFunc("GET /outbox/dead", serve(func(ctx context.Context, req *http.Request) (any, error) {
		query := req.URL.Query()
		after, err := number(query.Get("after"), 0)
		if err != nil {
			return nil, err
		}
		limit, err := number(query.Get("limit"), maxPage)
		if err != nil {
			return nil, err
		}
		rows, err := r.DeadRows(ctx, after, int(min(max(limit, 1), maxPage)), query.Get("all") == "true")
		return map[string]any{"dead": rows}, err
	}))
	admin.HandleFunc("GET /outbox/dead/{id}", serve(func(ctx context.Context, req *http.Request) (any, error) {
		id, err := number(req.PathValue("id"), 0)
		if err != nil {
			return nil, err
		}
		row, err := r.DeadByID(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fmt.Errorf("there is no dead row %d: %w", id, err)
		}
		return row, err
	}))
	for path, decision := range map[string]Decision{"replay": Replayed, "discard": Discarded} {
		admin.HandleFunc("POST /outbox/dead/"+path, serve(func(ctx context.Context, req *http.Request) (any, error) {
			var v Verdict
			if err := json.NewDecoder(req.Body).Decode(&v); err != nil {
				return nil, badRequest{err}
			}
			if err := v.validate(decision); err != nil {
				return nil, badRequest{err}
			}
			ids, err := r.Decide(ctx, decision, v)
			return map[string]any{"done": ids}, err
		}))
	}
}

// badRequest is an error that the caller can mend.
type badRequest struct{ error }

func number(s string, fallback int64) (int64, error) {
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, badRequest{err}
	}
	return n, nil
}

// serve answers with JSON, also about errors: only operators come here.
func serve(call func(context.Context, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), adminTimeout)
		defer cancel()
		req.Body = http.MaxBytesReader(w, req.Body, maxVerdict)
		status := http.StatusOK
		body, err := call(ctx, req)
		if err != nil {
			status, body = http.StatusInternalServerError, map[string]string{"error": err.Error()}
			var bad badRequest
			switch {
			case errors.As(err, &bad):
				status = http.StatusBadRequest
			case errors.Is(err, pgx.ErrNoRows):
				status = http.StatusNotFound
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // A client that has gone away is nobody's error.
	}
}
