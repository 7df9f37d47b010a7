package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// restartGrace is how long a child may take to stop before it is killed: more
// than any of them allows itself.
const restartGrace = 40 * time.Second

// successorPatience is how long a child may take to be ready again: far more than
// one that does not crash at its start needs on a busy machine.
const successorPatience = 2 * time.Minute

// Restarted says how the restart of one child went.
type Restarted struct {
	Name string
	// At is when it was told to stop; Gone is how long it took to end, Ready until
	// its successor was ready.
	At          time.Time
	Gone, Ready time.Duration
}

// Restart tells children to stop in good order and waits until the supervisor
// has each ready again: one after another when rolling, else all at once. A name
// is a child or a service with all of its replicas; no name means every service.
// each is called whenever one is ready again.
func Restart(ctx context.Context, home Home, names []string, rolling bool, each func(Restarted)) error {
	state, err := home.Running()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = services[:]
	}
	var chosen []ChildState
	for _, name := range names {
		found := state.Named(name)
		if len(found) == 0 {
			return fmt.Errorf("nothing here is named %s: `ballast status --home %s` lists what runs", name, string(home))
		}
		chosen = append(chosen, found...)
	}
	if rolling {
		for _, c := range chosen {
			if err := restart(ctx, home, c, each); err != nil {
				return err
			}
		}
		return nil
	}
	results := make(chan error, len(chosen))
	for _, c := range chosen {
		go func() { results <- restart(ctx, home, c, each) }()
	}
	for range chosen {
		err = errors.Join(err, <-results)
	}
	return err
}

// Named returns the child of that name, or the replicas of the service.
func (s State) Named(name string) []ChildState {
	var found []ChildState
	for _, c := range s.Children {
		service, _, replicated := strings.Cut(c.Name, "-")
		if c.Name == name || replicated && service == name && slices.Contains(services[:], name) {
			found = append(found, c)
		}
	}
	return found
}

func restart(ctx context.Context, home Home, c ChildState, each func(Restarted)) error {
	if c.State == "external" {
		return fmt.Errorf("%s was there before the stack: restart it where it runs", c.Name)
	}
	done := Restarted{Name: c.Name, At: time.Now()}
	if err := c.end(ctx, c.StopSignal, restartGrace); err != nil {
		return fmt.Errorf("stop %s (process %d): %w", c.Name, c.PID, err)
	}
	done.Gone = time.Since(done.At)
	if err := AwaitSuccessor(ctx, home, c); err != nil {
		return err
	}
	done.Ready = time.Since(done.At)
	each(done)
	return nil
}

// AwaitSuccessor waits until another process than the given one is ready in its
// place, for two minutes at most.
func AwaitSuccessor(ctx context.Context, home Home, of ChildState) error {
	ctx, cancel := context.WithTimeout(ctx, successorPatience)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		state, err := home.Running()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(state.Children, func(c ChildState) bool { return c.Name == of.Name })
		if i >= 0 && state.Children[i].State == "ready" && state.Children[i].Proc != of.Proc {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to be ready again: %w; its log is %s", of.Name, context.Cause(ctx), of.Log)
		}
	}
}
