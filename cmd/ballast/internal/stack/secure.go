package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"example.com/ballast/cmd/ballast/internal/access"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
)

// checkSecure finds what a stack that asks everybody who they are can't have.
func (u *upper) checkSecure() error {
	if !u.Secure {
		return nil
	}
	if u.Broker != "apache" || len(u.External.KafkaBrokers) > 0 || len(u.External.Redis) > 0 || u.ServersOnly {
		return errors.New("--secure: wants --broker apache, servers of its own and its services; `ballast access` gives rights at other servers")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return fmt.Errorf("--secure: miniredis knows no ACL files: %w", err)
	}
	return nil
}

// users makes the passwords of Kafka and Redis, which ask for them from their start.
func (u *upper) users() error {
	if u.endpoints.Secure = u.Secure; !u.Secure {
		return nil
	}
	return (access.Secrets{Dir: u.Home.Path("secrets"), Redis: "redis-%s", Mode: 0o600}).MakeUsers(io.Discard)
}

// KafkaLogin is who a user of the stack is at its broker; nobody in a stack that does
// not ask.
func (h Home) KafkaLogin(s State, user string) (kafka.Login, error) {
	if !s.Endpoints.Secure {
		return kafka.Login{}, nil
	}
	return h.login(user)
}

func (h Home) login(user string) (kafka.Login, error) {
	password, err := access.Passwords(h.Path("secrets", "kafka"))(user)
	return kafka.Login{User: user, Password: config.Secret(password)}, err
}

// adminLogin is the one that the broker knows from its start.
func (u *upper) adminLogin() (kafka.Login, error) {
	if !u.Secure {
		return kafka.Login{}, nil
	}
	login, err := u.Home.login(access.Admin)
	login.Mechanism = kafka.Plain
	return login, err
}

// rights makes the users at the broker and lets every service's migrate make what the
// service itself may not.
func (u *upper) rights(ctx context.Context) error {
	login, err := u.adminLogin()
	if err != nil || !u.Secure {
		return err
	}
	users := access.Kafka{Brokers: u.endpoints.Kafka, Login: login, Password: access.Passwords(u.Home.Path("secrets", "kafka"))}
	if err := users.Apply(ctx, access.Services(), io.Discard); err != nil {
		return fmt.Errorf("rights at kafka: %w", err)
	}
	for _, name := range services {
		cmd := exec.CommandContext(ctx, filepath.Join(u.Binaries, name), "migrate")
		cmd.Env = environment(os.Environ(), map[string]string{
			"POSTGRES_MIGRATION_URL_FILE": u.Home.urlFile(name + "_owner"), "KAFKA_BROKERS": strings.Join(u.endpoints.Kafka, ","),
			"KAFKA_SASL_USER": access.Admin, "KAFKA_SASL_PASSWORD_FILE": u.Home.Path("secrets", "kafka", access.Admin),
			"KAFKA_PARTITIONS": strconv.Itoa(max(u.partitions, 1)),
		})
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s migrate: %w\n%s", name, err, out)
		}
	}
	u.console.Printf("users, rights and topics are made; `ballast access list` says who may do what")
	return nil
}

// secured changes the environment of a service to that of one that has its own users
// and no right to prepare anything.
func (u *upper) secured(name string, env map[string]string) {
	if !u.Secure {
		return
	}
	delete(env, "POSTGRES_MIGRATION_URL_FILE")
	env["KAFKA_SASL_USER"] = name
	env["KAFKA_SASL_PASSWORD_FILE"] = u.Home.Path("secrets", "kafka", name)
}

// redisURL is how a service reaches its Redis, with its user where that is asked for.
func (u *upper) redisURL(name string) (string, error) {
	direct := u.throughURL("redis-"+name, u.endpoints.Redis[name])
	if !u.Secure {
		return direct, nil
	}
	password, err := access.Passwords(u.Home.Path("secrets", "redis"))(name)
	if err != nil {
		return "", err
	}
	return strings.Replace(direct, "redis://", "redis://"+name+":"+password+"@", 1), nil
}
