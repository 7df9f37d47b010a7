package service_test

import (
	"context"
	"errors"
	"testing"

	"example.com/ballast/pkg/service"
)

// Not parallel: the address comes from the environment of the process.
func TestHealthAsksTheAdminListener(t *testing.T) {
	ready := make(chan struct{})
	r := start(t, service.Settings{}, func(context.Context, *service.Host) error { <-ready; return nil })
	t.Setenv("ADMIN_ADDR", r.host.AdminAddr())
	health := func() int { return service.Main(t.Context(), "test", []string{"health"}, nil) }
	if code := health(); code != 1 {
		t.Errorf("while the service is starting health exits with %d, want 1", code)
	}
	close(ready)
	r.becomes(t, "/readyz", 200, "ready")
	if code := health(); code != 0 {
		t.Errorf("of a ready service health exits with %d, want 0", code)
	}
	r.stop()
	<-r.done
	if code := health(); code != 1 {
		t.Errorf("where nobody listens health exits with %d, want 1", code)
	}
}

func TestMainDoesWhatTheArgumentsName(t *testing.T) {
	t.Parallel()
	var did string
	commands := service.Commands{
		"":     func(context.Context) error { did = "served"; return nil },
		"fail": func(context.Context) error { did = "failed"; return errors.New("broken") },
	}
	for _, tc := range []struct {
		args []string
		did  string
		code int
	}{
		{nil, "served", 0},
		{[]string{"fail"}, "failed", 1},
		{[]string{"fail", "--help"}, "", 0},
		{[]string{"fial"}, "", 1},
		{[]string{"fail", "now"}, "", 1},
	} {
		did = ""
		if code := service.Main(t.Context(), "test", tc.args, commands); code != tc.code || did != tc.did {
			t.Errorf("%q: exit code %d after %q, want %d after %q", tc.args, code, did, tc.code, tc.did)
		}
	}
}
