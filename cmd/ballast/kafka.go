package main

import (
	"fmt"
	"os"
	"strings"

	"example.com/ballast/cmd/ballast/internal/access"
	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
)

// atKafka says where Kafka is and who the tool is there: what was said on the command
// line, else what the environment says, as it does for a service, else the stack in
// the home directory.
func atKafka(home stack.Home, said []string) (brokers []string, login kafka.Login, err error) {
	if login, err = config.Load[kafka.Login](); err != nil {
		return nil, login, err
	}
	if brokers = said; len(brokers) == 0 {
		brokers = strings.FieldsFunc(os.Getenv("KAFKA_BROKERS"), func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(brokers) > 0 {
		return brokers, login, nil
	}
	state, err := home.Running()
	if err != nil {
		return nil, login, fmt.Errorf("neither --brokers nor KAFKA_BROKERS says where Kafka is: %w", err)
	}
	if login.User == "" {
		login, err = home.KafkaLogin(state, access.Operator)
	}
	return state.Endpoints.Kafka, login, err
}
