package api

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"example.com/ballast/services/provider/internal/bank"
)

// Stripe's page sizes.
const (
	defaultLimit = 10
	maxLimit     = 100
)

type listJSON struct {
	Object  string `json:"object"`
	URL     string `json:"url"`
	HasMore bool   `json:"has_more"`
	Data    []any  `json:"data"`
}

// reader returns a value, a client's error, or an error of the book.
type reader func(r *http.Request) (any, *apiError, error)

func (s *Server) read(f reader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fate, ok := s.begin(w, r, "read", "")
		if !ok {
			return
		}
		pause(r.Context(), fate.Delay+fate.Hang)
		if fate.Fail || fate.Lose {
			s.reply(w, nil, serverError(http.StatusInternalServerError))
			return
		}
		v, bad, err := f(r)
		if err != nil {
			s.logger.Error("no answer: the state is not in the book", "error", err)
			panic(http.ErrAbortHandler)
		}
		s.reply(w, v, bad)
	}
}

func (s *Server) getIntent(r *http.Request) (any, *apiError, error) {
	id := r.PathValue("id")
	v, ok, err := s.bank.Get(id)
	if err != nil || !ok {
		return nil, noSuchIntent(id), err
	}
	return renderIntent(v), nil, nil
}

func (s *Server) listIntents(r *http.Request) (any, *apiError, error) {
	page, bad := parsePage(r.URL.Query(), false)
	if bad != nil {
		return nil, bad, nil
	}
	list, more, known, err := s.bank.List(page)
	if err != nil || !known {
		return nil, noSuchIntent(page.After), err
	}
	data := make([]any, len(list))
	for i, v := range list {
		data[i] = renderIntent(v)
	}
	return listJSON{Object: "list", URL: r.URL.Path, HasMore: more, Data: data}, nil, nil
}

func (s *Server) listRefunds(r *http.Request) (any, *apiError, error) {
	page, bad := parsePage(r.URL.Query(), true)
	if bad != nil {
		return nil, bad, nil
	}
	list, more, known, err := s.bank.ListRefunds(page)
	if err != nil || !known {
		return nil, invalid(http.StatusNotFound, "resource_missing", "No such refund or payment_intent.", ""), err
	}
	data := make([]any, len(list))
	for i, v := range list {
		data[i] = renderRefund(v)
	}
	return listJSON{Object: "list", URL: r.URL.Path, HasMore: more, Data: data}, nil, nil
}

// parsePage reads limit, starting_after, created and, of refunds,
// payment_intent.
func parsePage(q url.Values, refunds bool) (bank.Page, *apiError) {
	p := bank.Page{Limit: defaultLimit, CreatedUpTo: math.MaxInt64}
	for name := range q {
		value := q.Get(name)
		switch {
		case name == "starting_after":
			p.After = value
		case name == "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxLimit {
				return p, invalid(http.StatusBadRequest, "parameter_invalid_integer",
					fmt.Sprintf("limit is %q: use 1 to %d.", value, maxLimit), "limit")
			}
			p.Limit = n
		case name == "payment_intent" && refunds:
			p.Intent = value
		case slices.Contains(createdNames, name):
			if bad := boundCreated(&p, name, value); bad != nil {
				return p, bad
			}
		default:
			return p, unknownParameter(name)
		}
	}
	return p, nil
}

var createdNames = []string{"created", "created[gt]", "created[gte]", "created[lt]", "created[lte]"}

// boundCreated narrows the page to one bound in unix seconds.
func boundCreated(p *bank.Page, name, value string) *apiError {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return invalid(http.StatusBadRequest, "parameter_invalid_integer",
			fmt.Sprintf("Invalid timestamp: %q.", value), name)
	}
	switch name {
	case "created":
		p.CreatedFrom, p.CreatedUpTo = max(p.CreatedFrom, n), min(p.CreatedUpTo, n)
	case "created[gt]":
		p.CreatedFrom = max(p.CreatedFrom, n+1)
	case "created[gte]":
		p.CreatedFrom = max(p.CreatedFrom, n)
	case "created[lt]":
		p.CreatedUpTo = min(p.CreatedUpTo, n-1)
	default:
		p.CreatedUpTo = min(p.CreatedUpTo, n)
	}
	return nil
}
