package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// TestComposeFindsItsSecrets: each file that docker-compose.yml gives to a container is
// one that `ballast access secrets` makes, and the broker knows its administrator.
func TestComposeFindsItsSecrets(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := root(t.Context())
	cmd.SetArgs([]string{"access", "secrets", "--dir", dir})
	cmd.SetOut(io.Discard)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, secret := range project.Secrets {
		file, err := filepath.Rel(filepath.Join(project.WorkingDir, "deploy/compose/secrets"), secret.File)
		if err == nil {
			_, err = os.Stat(filepath.Join(dir, file))
		}
		if err != nil {
			t.Errorf("nobody makes the secret %s: %v", name, err)
		}
	}
	password, err := os.ReadFile(filepath.Join(dir, "kafka", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	jaas, err := os.ReadFile(filepath.Join(dir, "kafka", "server.jaas"))
	if want := `user_admin="` + strings.TrimSpace(string(password)) + `";`; err != nil || !strings.Contains(string(jaas), want) {
		t.Errorf("the broker's file of log-ins has another password than the administrator: %v", err)
	}
}
