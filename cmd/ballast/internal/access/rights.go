package access

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/cmd/ballast/internal/dlq"
	"example.com/ballast/pkg/kafka"
)

// Right is one ACL that allows something from everywhere. Kafka has no other kind
// here: what is not allowed is denied.
type Right struct {
	User      string
	Resource  kmsg.ACLResourceType
	Name      string
	Prefixed  bool // Name is the beginning of a name
	Operation kmsg.ACLOperation
}

// In Kafka's own words, READ, WRITE, ALTER and DELETE imply DESCRIBE; the right to
// write to any topic lets a producer be idempotent.
const (
	topic = kmsg.ACLResourceTypeTopic
	group = kmsg.ACLResourceTypeGroup
	txn   = kmsg.ACLResourceTypeTransactionalId

	read     = kmsg.ACLOperationRead
	write    = kmsg.ACLOperationWrite
	create   = kmsg.ACLOperationCreate
	alter    = kmsg.ACLOperationAlter
	remove   = kmsg.ACLOperationDelete
	describe = kmsg.ACLOperationDescribe
)

// rights are a set under construction.
type rights struct {
	user string
	set  map[Right]bool
}

func (r *rights) allow(resource kmsg.ACLResourceType, name string, operations ...kmsg.ACLOperation) {
	for _, o := range operations {
		r.set[Right{r.user, resource, name, false, o}] = true
	}
}

// Rights are all that anybody has at Kafka. The administrator is none of these users:
// a broker's super.users need no rights.
func Rights(services []Service) []Right {
	all := &rights{set: map[Right]bool{}}
	for _, s := range services {
		all.user = s.Name
		all.service(s.Kafka)
	}
	all.user = Operator
	for _, s := range services {
		all.operator(s.Kafka)
	}
	all.set[Right{Operator, txn, dlq.TransactionPrefix, true, write}] = true
	return slices.SortedFunc(maps.Keys(all.set), compare)
}

// service may do what it says that it does. Topics are not among it: its migrate makes
// them, as the administrator.
func (r *rights) service(n kafka.Needs) {
	for _, t := range n.Writes {
		r.allow(topic, t, write)
	}
	for _, t := range n.Follows {
		r.allow(topic, t, read)
	}
	for g, topics := range n.Consumes {
		r.allow(group, g, read)
		// How many letters wait for a person is a metric of the group's.
		r.allow(group, kafka.DLQOperators(g), describe)
		for _, t := range topics {
			r.allow(topic, t, read)
			r.allow(topic, kafka.RetryTopic(t, g), read, write)
			r.allow(topic, kafka.DLQTopic(t, g), write)
		}
	}
	for g, topics := range n.Watches {
		r.allow(group, g, describe)
		for _, t := range topics {
			if !slices.Contains(n.Writes, t) {
				r.allow(topic, t, describe)
			}
			r.allow(topic, kafka.RetryTopic(t, g), describe) // the group is a member of it, too
		}
	}
}

// operator reads everything, sends dead letters back to the groups that gave them up,
// and deletes those that are decided. It writes nothing that a service would take for
// another's word: neither commands nor events.
func (r *rights) operator(n kafka.Needs) {
	for _, t := range slices.Concat(n.Writes, n.Follows) {
		r.allow(topic, t, read)
	}
	for g, topics := range n.Consumes {
		r.allow(group, g, describe)
		r.allow(group, kafka.DLQOperators(g), read)
		for _, t := range topics {
			r.allow(topic, t, read)
			r.allow(topic, kafka.RetryTopic(t, g), read, write)
			r.allow(topic, kafka.DLQTopic(t, g), read, remove)
			for _, box := range []string{dlq.BoxTopic(t, g, dlq.Quarantined), dlq.BoxTopic(t, g, dlq.Discarded)} {
				r.allow(topic, box, read, write, create, alter)
			}
			r.allow(topic, dlq.BoxTopic(t, g, dlq.Quarantined), remove)
		}
	}
}

func compare(a, b Right) int {
	return cmp.Or(strings.Compare(a.User, b.User), cmp.Compare(a.Resource, b.Resource), strings.Compare(a.Name, b.Name),
		cmp.Compare(a.Operation, b.Operation))
}
