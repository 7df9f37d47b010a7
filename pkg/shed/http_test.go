package shed_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/shed"
)

// Behind real HTTP a refusal comes before authentication and decoding: a caller
// without a token, with a body that is none, hears that the service is busy.
func TestRefusalOverHTTP(t *testing.T) {
	t.Parallel()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	shedder, err := shed.New(shed.Config{
		Logger: logger, Priorities: priorities(),
		Limits:  func() shed.Limits { return shed.Limits{Min: 1, Max: 1, MaxWait: time.Second} },
		Sources: []shed.Source{{Name: "full", Most: shed.Critical, Read: func() float64 { return 1 }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := edge.NewServer(edge.Config{
		Logger: logger, Verifier: edge.NewVerifier(keys.Public), Admit: []connect.ServerInterceptor{shedder.Admit},
	})
	if err != nil {
		t.Fatal(err)
	}
	for procedure := range priorities() {
		server.RPC.Register(connect.Method{Spec: connect.Spec{Procedure: procedure, StreamType: connect.StreamTypeUnary}, Handler: nothing})
	}
	handler, err := server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(handler)
	t.Cleanup(hs.Close)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = shedder.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	post := func(procedure string) (int, http.Header, string) {
		res, err := http.Post(hs.URL+procedure, "application/json", strings.NewReader("{broken"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(body)
	}
	for !shedder.Shedding() { // until the pressure was read
		post(place)
	}
	status, header, body := post(place)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || !strings.Contains(body, shed.Reason) {
		t.Errorf("a refusal: %d, %v, %s", status, header, body)
	}
	if status, _, body := post(admin); status != http.StatusUnauthorized {
		t.Errorf("an operator's call passes on to authentication, which refuses it: %d, %s", status, body)
	}
	if status, _, body := post("/grpc.health.v1.Health/Check"); status == http.StatusServiceUnavailable {
		t.Errorf("the health check was shed: %s", body)
	}
}
