package servers

import (
	"os"
	"strings"
	"testing"
)

// TestKafkaConfigures checks what can be seen without Java: that the files name
// the ports and the directory, and that a directory is configured twice alike.
func TestKafkaConfigures(t *testing.T) {
	t.Parallel()
	k := Kafka{Dir: t.TempDir(), Port: 1234, ControllerPort: 1235, Advertised: "127.0.0.1:9"}
	for range 2 {
		file, err := k.configure()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"listeners=CLIENTS://127.0.0.1:1234,CONTROLLER://127.0.0.1:1235\n",
			"advertised.listeners=CLIENTS://127.0.0.1:9,CONTROLLER://127.0.0.1:1235\n",
			"controller.quorum.bootstrap.servers=127.0.0.1:1235\n",
			"log.dirs=" + k.Dir + "/data\n",
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("no %q in:\n%s", want, b)
			}
		}
	}
}
