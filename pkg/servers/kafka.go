package servers

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// kafkaVersion is the Apache Kafka that Maven fetches. 4.4.0 was published in
// part only when this was chosen.
const kafkaVersion = "4.3.1"

//go:embed kafka/pom.xml kafka/server.properties.tmpl kafka/log4j2.properties
var kafkaFiles embed.FS

// Kafka is a single Apache Kafka broker in KRaft mode on 127.0.0.1: the real
// thing, from KAFKA_HOME or from jars that Maven fetches once into the user's
// cache directory. It needs Java 17 or newer.
type Kafka struct {
	// Dir holds the configuration and the log; an existing one is continued.
	Dir string
	// Port is for clients, ControllerPort for the broker's own quorum.
	Port, ControllerPort int
	// Advertised is the host:port that clients are told to use, such as that of a
	// proxy; the broker's own when empty.
	Advertised string
	// AdminPassword makes the broker ask everybody who they are, by SCRAM-SHA-512 or
	// PLAIN, and let them do only what ACLs allow. KafkaAdmin, who logs in with PLAIN
	// and this password, may do everything. Without one it asks nobody.
	AdminPassword string
	// Progress is told about what takes longer than a moment. May be nil.
	Progress func(string)
}

// Process fetches the jars if need be, formats the directory on first use and
// returns what runs the broker. An error names the line that installs what is
// missing.
func (k Kafka) Process(ctx context.Context) (Process, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return Process{}, errors.New("apache kafka needs Java 17 or newer, and there is no java in PATH: " + installJava)
	}
	libs, about, err := k.libs(ctx)
	if err != nil {
		return Process{}, err
	}
	config, err := k.configure()
	if err != nil {
		return Process{}, fmt.Errorf("configure kafka: %w", err)
	}
	if err := k.format(ctx, java, libs, config); err != nil {
		return Process{}, err
	}
	addr := loopback(k.Port)
	return Process{
		Name:  "kafka",
		About: about,
		URL:   addr,
		Command: func(context.Context) (*exec.Cmd, error) {
			// Heap and collector by measurement: 240 MB resident after a load of
			// 300,000 records/s; the parallel collectors cost more on two cores.
			return exec.Command(java, "-Xms256m", "-Xmx384m", "-XX:+UseSerialGC",
				"-Dlog4j2.configurationFile="+filepath.Join(k.Dir, "log4j2.properties"),
				"-cp", libs, "kafka.Kafka", config), nil
		},
		Ready: func(ctx context.Context) error { return KafkaAnswers(ctx, addr, k.login()...) },
		// A controlled shutdown: the log is closed and needs no recovery.
		StopSignal: syscall.SIGTERM,
	}, nil
}

// KafkaAdmin is the user that a broker with an AdminPassword knows from its start.
const KafkaAdmin = "admin"

func (k Kafka) login() []kgo.Opt {
	if k.AdminPassword == "" {
		return nil
	}
	return []kgo.Opt{kgo.SASL(plain.Auth{User: KafkaAdmin, Pass: k.AdminPassword}.AsMechanism())}
}

const installJava = "`apt-get install -y openjdk-17-jdk-headless maven` or `brew install openjdk maven` installs it"

// libs returns the class path and says where it came from.
func (k Kafka) libs(ctx context.Context) (classPath, about string, err error) {
	if home := os.Getenv("KAFKA_HOME"); home != "" {
		jars, _ := filepath.Glob(filepath.Join(home, "libs", "kafka_*.jar"))
		if len(jars) == 0 {
			return "", "", fmt.Errorf("KAFKA_HOME=%s has no libs/kafka_*.jar: point it at an unpacked Apache Kafka, or unset it", home)
		}
		return filepath.Join(home, "libs", "*"), "Apache Kafka from KAFKA_HOME=" + home, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("cache directory for the jars of kafka: %w", err)
	}
	dir := filepath.Join(cache, "ballast", "kafka-"+kafkaVersion)
	about = "Apache Kafka " + kafkaVersion
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "*"), about, nil
	}
	return filepath.Join(dir, "*"), about, k.fetch(ctx, dir)
}

// fetch has Maven copy the jars. They appear in dir all at once or not at all,
// so that a fetch that was interrupted is simply done again.
func (k Kafka) fetch(ctx context.Context, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("the jars of apache kafka come through Maven, and there is no mvn in PATH (nor a KAFKA_HOME): " + installJava)
	}
	if k.Progress != nil {
		k.Progress("fetching Apache Kafka " + kafkaVersion + " through Maven: 55 MB, once")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("cache directory for the jars of kafka: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "fetching-")
	if err != nil {
		return fmt.Errorf("cache directory for the jars of kafka: %w", err)
	}
	defer os.RemoveAll(tmp)
	pom, err := kafkaFiles.ReadFile("kafka/pom.xml")
	if err != nil {
		return err
	}
	pom = []byte(strings.ReplaceAll(string(pom), "KAFKA_VERSION", kafkaVersion))
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o644); err != nil {
		return fmt.Errorf("fetch kafka: %w", err)
	}
	libs := filepath.Join(tmp, "libs")
	cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "-q", "-f", filepath.Join(tmp, "pom.xml"),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+libs)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch kafka: %s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	if err := os.Rename(libs, dir); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("fetch kafka: %w", err)
	}
	return nil
}

// configure writes the configuration anew at every start: the ports may differ.
func (k Kafka) configure() (serverProperties string, err error) {
	abs, err := filepath.Abs(k.Dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", err
	}
	log4j, err := kafkaFiles.ReadFile("kafka/log4j2.properties")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(abs, "log4j2.properties"), log4j, 0o644); err != nil {
		return "", err
	}
	tmpl, err := template.ParseFS(kafkaFiles, "kafka/server.properties.tmpl")
	if err != nil {
		return "", err
	}
	var text strings.Builder
	values := struct {
		Port, ControllerPort     int
		Advertised, LogDir       string
		AdminUser, AdminPassword string
	}{k.Port, k.ControllerPort, cmp.Or(k.Advertised, loopback(k.Port)), filepath.Join(abs, "data"), KafkaAdmin, k.AdminPassword}
	if err := tmpl.Execute(&text, values); err != nil {
		return "", err
	}
	serverProperties = filepath.Join(abs, "server.properties")
	return serverProperties, os.WriteFile(serverProperties, []byte(text.String()), 0o600)
}

// format gives a new data directory its cluster id. One that has it keeps it,
// which saves the second that a Java start takes.
func (k Kafka) format(ctx context.Context, java, libs, config string) error {
	if _, err := os.Stat(filepath.Join(k.Dir, "data", "meta.properties")); err == nil {
		return nil
	}
	// The id is fixed: these brokers never meet. It is 16 bytes in base 64.
	cmd := exec.CommandContext(ctx, java, "-cp", libs, "kafka.tools.StorageTool", "format",
		"-t", "QmFsbGFzdExvY2FsS2Fmaw", "-c", config, "--standalone", "--ignore-formatted")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format kafka's directory %s: %w\n%s", k.Dir, err, out)
	}
	return nil
}

// KafkaAnswers returns nil when a broker answers a request for metadata of a client
// with these options, such as a login.
func KafkaAnswers(ctx context.Context, addr string, opts ...kgo.Opt) error {
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.RequestRetries(0))...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("kafka at %s does not answer yet", addr)
	}
	return nil
}
