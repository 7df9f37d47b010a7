// Package api speaks the subset of Stripe's HTTP API that payments uses, over
// the bank, with the faults in force: forms in, JSON out, Stripe's error
// objects, Idempotency-Key, Request-Id and Idempotent-Replayed.
//
// The order of a write: key of the account, outage, rate limit, parameters
// (none of these is stored), claim of the idempotency key, latency, the bank
// (stored, and in the book), a lost or late answer.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"example.com/ballast/services/provider/internal/bank"
	"example.com/ballast/services/provider/internal/faults"
)

// maxBodyBytes bounds a form: fifty metadata pairs at their longest, escaped.
const maxBodyBytes = 128 << 10

// maxKeyLen is Stripe's limit of an idempotency key.
const maxKeyLen = 255

// Server answers requests.
type Server struct {
	bank     *bank.Bank
	faults   *faults.Faults
	apiKey   string // "" accepts any
	told     func(ctx context.Context, line int64)
	logger   *slog.Logger
	requests atomic.Uint64
}

// New returns the public handler. An empty apiKey accepts every bearer key. told
// returns when the event of a line was delivered; it is nil without webhooks.
func New(b *bank.Bank, f *faults.Faults, apiKey string, told func(context.Context, int64), logger *slog.Logger) http.Handler {
	s := &Server{bank: b, faults: f, apiKey: apiKey, told: told, logger: logger}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/payment_intents", s.write(bank.Create, parseCreate))
	mux.Handle("POST /v1/payment_intents/{id}/confirm", s.write(bank.Confirm, parseConfirm))
	mux.Handle("POST /v1/payment_intents/{id}/cancel", s.write(bank.Cancel, parseCancel))
	mux.Handle("POST /v1/refunds", s.write(bank.Refund, parseRefund))
	mux.Handle("GET /v1/payment_intents", s.read(s.listIntents))
	mux.Handle("GET /v1/payment_intents/{id}", s.read(s.getIntent))
	mux.Handle("GET /v1/refunds", s.read(s.listRefunds))
	mux.HandleFunc("GET /book", s.copyBook)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.reply(w, nil, invalid(http.StatusNotFound, "",
			fmt.Sprintf("Unrecognized request URL (%s: %s).", r.Method, r.URL.Path), ""))
	})
	return mux
}

// begin does what comes before every call: authentication, outage and rate
// limit. False means that it has answered.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, op, key string) (faults.Fate, bool) {
	w.Header().Set("Request-Id", "req_"+strconv.FormatUint(s.requests.Add(1), 10))
	if key != "" {
		w.Header().Set("Idempotency-Key", key)
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" || s.apiKey != "" && token != s.apiKey {
		s.reply(w, nil, invalid(http.StatusUnauthorized, "", "Invalid API Key provided.", ""))
		return faults.Fate{}, false
	}
	fate := s.faults.Draw(op, key)
	switch {
	case fate.Outage == faults.OutageError:
		s.reply(w, nil, serverError(http.StatusServiceUnavailable))
	case fate.Outage == faults.OutageHang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case fate.Outage == faults.OutageReset:
		panic(http.ErrAbortHandler)
	case fate.Limited:
		s.reply(w, nil, invalid(http.StatusTooManyRequests, "rate_limit", "Too many requests in a short time.", ""))
	default:
		return fate, true
	}
	return fate, false
}

type parser func(id string, form url.Values) (bank.Call, *apiError)

func (s *Server) write(op bank.Op, parse parser) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		// The body is read first: only then does the server notice a caller that hangs up.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		fate, ok := s.begin(w, r, string(op), key)
		if !ok {
			return
		}
		call, bad := s.parse(r, body, err, key, parse)
		if bad != nil {
			s.reply(w, nil, bad)
			return
		}
		call.Op = op
		call.Fate = bank.Fate{Fail: fate.Fail, Decline: fate.Decline, Lose: fate.Lose}
		if key != "" && !s.claim(w, key, call.Fingerprint) {
			return
		}
		pause(r.Context(), fate.Delay)
		answer, err := s.bank.Execute(call)
		switch {
		case errors.Is(err, bank.ErrNotFound):
			s.reply(w, nil, noSuchIntent(call.Intent))
			return
		case errors.Is(err, bank.ErrFull):
			s.logger.Error("create refused", "error", err)
			s.reply(w, nil, &apiError{status: http.StatusServiceUnavailable, Type: "api_error", Message: err.Error()})
			return
		case err != nil:
			s.logger.Error("no answer: the call is not in the book", "error", err)
			panic(http.ErrAbortHandler)
		}
		if fate.WebhookFirst && s.told != nil {
			s.told(r.Context(), answer.Line)
		}
		pause(r.Context(), fate.Hang)
		s.answer(w, r, answer)
	}
}

func (s *Server) parse(r *http.Request, body []byte, readErr error, key string, parse parser) (bank.Call, *apiError) {
	form, err := url.ParseQuery(string(body))
	if err := errors.Join(readErr, err); err != nil {
		return bank.Call{}, invalid(http.StatusBadRequest, "", "The body is not a form: "+err.Error(), "")
	}
	if len(key) > maxKeyLen {
		return bank.Call{}, invalid(http.StatusBadRequest, "", "Idempotency-Key has at most 255 characters.", "")
	}
	call, bad := parse(r.PathValue("id"), form)
	call.Key, call.Fingerprint = key, fingerprint(r.URL.Path, form)
	return call, bad
}

// fingerprint stands for endpoint and parameters. It is a sum, so that the
// order of the parameters does not count and nothing has to be sorted.
func fingerprint(path string, form url.Values) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, path)
	sum := h.Sum64()
	for name, values := range form {
		h.Reset()
		_, _ = io.WriteString(h, name)
		for _, v := range values {
			_, _ = io.WriteString(h, "=")
			_, _ = io.WriteString(h, v)
		}
		sum += h.Sum64()
	}
	return sum
}

// claim takes the key; false means that it has answered.
func (s *Server) claim(w http.ResponseWriter, key string, fingerprint uint64) bool {
	stored, err := s.bank.Claim(key, fingerprint)
	switch {
	case errors.Is(err, bank.ErrKeyInUse):
		s.reply(w, nil, &apiError{
			status: http.StatusConflict, Type: "idempotency_error", Code: "idempotency_key_in_use",
			Message: "There is currently another in-progress request using this Idempotency-Key.",
		})
	case errors.Is(err, bank.ErrKeyMismatch):
		s.reply(w, nil, &apiError{
			status: http.StatusBadRequest, Type: "idempotency_error",
			Message: "Keys for idempotent requests can only be used with the same endpoint and parameters they were first used with.",
		})
	case err != nil:
		panic(http.ErrAbortHandler) // the book has ended, and so will this process
	case stored != nil:
		w.Header().Set("Idempotent-Replayed", "true")
		s.answer(w, nil, *stored)
	default:
		return true
	}
	return false
}

// answer renders what the bank decided. With a request whose caller has gone
// there is nobody to answer.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a bank.Answer) {
	if r != nil && r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	switch {
	case a.Failed || a.Lost:
		s.reply(w, nil, serverError(http.StatusInternalServerError))
	case a.Declined:
		s.reply(w, nil, declined(a))
	case a.Code != "":
		s.reply(w, nil, refused(a))
	case a.Refund != nil:
		s.reply(w, renderRefund(*a.Refund), nil)
	default:
		s.reply(w, renderIntent(*a.Intent), nil)
	}
}

// reply writes the value, or the error when there is one.
func (s *Server) reply(w http.ResponseWriter, v any, e *apiError) {
	status := http.StatusOK
	if e != nil {
		status, v = e.status, map[string]*apiError{"error": e}
	}
	body, err := json.Marshal(v)
	if err != nil {
		s.logger.Error("encode answer", "error", err)
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone can't be told
}

// copyBook streams the durable lines of the book, from a line number on. It
// is the witness: no fault touches it, and it needs no key.
func (s *Server) copyBook(w http.ResponseWriter, r *http.Request) {
	var from int64 = 1
	if v := r.URL.Query().Get("from"); v != "" {
		var err error
		if from, err = strconv.ParseInt(v, 10, 64); err != nil || from < 1 {
			s.reply(w, nil, invalid(http.StatusBadRequest, "parameter_invalid_integer", "from is the number of a line, from 1.", "from"))
			return
		}
	}
	w.Header().Set("Content-Type", "application/jsonl")
	if err := s.bank.Book().CopyFrom(w, from); err != nil && r.Context().Err() == nil {
		s.logger.Error("copy book", "error", err)
		panic(http.ErrAbortHandler) // a cut-off book must not look whole
	}
}

// pause waits, or returns early when the caller has gone: its call goes on.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
