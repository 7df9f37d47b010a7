package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// warmUp is how long the load goes on before anything is judged: first calls open
// connections, and the first comparison of the books is made.
const warmUp = 8 * time.Second

// forgetTheStart lets Prometheus begin anew once the stack works, and judge once it
// sees all of it. It started before the services did: to it they were down, and an
// objective to which silence is failure burned. In production that is a minute or
// two of a month; here it would be half of what there is to judge by.
func (p *play) forgetTheStart(ctx context.Context, prometheus string) error {
	rules := p.Home.Path("prometheus", "rules.yml")
	content, err := os.ReadFile(rules)
	if err != nil {
		return fmt.Errorf("the stack's rules: %w", err)
	}
	if err := drill.Sleep(ctx, warmUp); err != nil {
		return err
	}
	if err := p.Signal("prometheus", syscall.SIGSTOP); err != nil {
		return err
	}
	err = errors.Join(
		os.RemoveAll(p.Home.Path("prometheus", "data")),
		os.WriteFile(rules, []byte("groups: []\n"), 0o644), //nolint:gosec // Prometheus may be another user
		p.Signal("prometheus", syscall.SIGKILL),
	)
	if err != nil {
		return err
	}
	// The age of the books is among what a service tells last.
	for deadline := time.Now().Add(time.Minute); ; {
		rows, err := p.watch.returns(ctx, "payments_reconcile_age_seconds")
		if err == nil && rows > 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("prometheus does not see the services: %w", err)
		}
		if err := drill.Sleep(ctx, look); err != nil {
			return err
		}
	}
	if err := os.WriteFile(rules, content, 0o644); err != nil { //nolint:gosec // as above
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, prometheus+"/-/reload", http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("tell Prometheus of its rules: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("tell Prometheus of its rules: %s", res.Status)
	}
	return nil
}
