// Package access says who may do what at the servers of a Ballast: Kafka, PostgreSQL
// and Redis. It makes the users there with their passwords and gives each the rights
// that follow from what the services say of themselves, and no others.
package access

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"example.com/ballast/pkg/kafka"
	inventory "example.com/ballast/services/inventory/needs"
	orders "example.com/ballast/services/orders/needs"
	payments "example.com/ballast/services/payments/needs"
)

// The users that are no service.
const (
	// Admin makes users, rights and topics. Servers know it before all others.
	Admin = "admin"
	// Operator is a person with the ballast tool: reads, and moves dead letters.
	Operator = "operator"
)

// Service is one that gets rights, by what it needs.
type Service struct {
	Name  string
	Kafka kafka.Needs
	// RedisKeys are the beginnings of its keys; without any it has no use for Redis.
	RedisKeys []string
}

// Services are all, in the order in which things are told of them.
func Services() []Service {
	return []Service{
		{"orders", orders.Kafka(), orders.RedisKeys()},
		{"inventory", inventory.Kafka(), inventory.RedisKeys()},
		{"payments", payments.Kafka(), nil},
	}
}

// Names are those of the services.
func Names() []string {
	var names []string
	for _, s := range Services() {
		names = append(names, s.Name)
	}
	return names
}

// table prints rows in columns for a person.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
