package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAToxiproxyIsAskedHowItIs(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.NotFoundHandler())
	address := strings.TrimPrefix(api.URL, "http://")
	if err := askToxiproxy(t.Context(), address); err != nil {
		t.Errorf("it answers, and the check says %v", err)
	}
	api.Close()
	if err := askToxiproxy(t.Context(), address); err == nil {
		t.Error("nobody listens, and the check says nothing")
	}
}
