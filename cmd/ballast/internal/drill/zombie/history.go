package zombie

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/pkg/message"
)

// topics that relays publish to; orderEvents has a record for every version.
const orderEvents = "orders.events"

var topics = []string{orderEvents, "inventory.commands", "payments.commands", "inventory.events", "payments.events", "inventory.products"}

// history is what the topics hold.
type history struct {
	orders, gaps int
	messages     map[string]int // by topic
	twice        map[string]int
}

// messages reads every topic from its beginning to its present end.
func (p *play) messages(ctx context.Context) (history, error) {
	h := history{messages: map[string]int{}, twice: map[string]int{}}
	state, err := p.State()
	if err != nil {
		return h, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(state.Endpoints.Kafka...), kgo.ConsumeTopics(topics...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return h, fmt.Errorf("read the topics: %w", err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return h, fmt.Errorf("end of the topics: %w", err)
	}
	left := map[[2]any]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[[2]any{o.Topic, o.Partition}] = o.Offset
		}
	})
	seen, version := map[string]bool{}, map[string]int64{}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return h, fmt.Errorf("read the topics: %w", err)
		}
		var wrong error
		fetches.EachRecord(func(r *kgo.Record) {
			if at := [2]any{r.Topic, r.Partition}; r.Offset+1 >= left[at] {
				delete(left, at)
			}
			m, err := message.FromRecord(r)
			if err != nil {
				wrong = err
				return
			}
			h.messages[r.Topic]++
			if seen[m.ID] {
				h.twice[r.Topic]++
				return
			}
			seen[m.ID] = true
			if key := string(m.Key); r.Topic == orderEvents {
				if m.Version != version[key]+1 {
					h.gaps++
				}
				version[key] = max(m.Version, version[key])
			}
		})
		if wrong != nil {
			return h, wrong
		}
	}
	h.orders = len(version)
	return h, nil
}

func (h history) repeated() (n int) {
	for _, twice := range h.twice {
		n += twice
	}
	return n
}

func (h history) table() drill.Table {
	t := drill.Table{Title: "Messages in the topics", Head: []string{"topic", "messages", "published twice"}}
	for _, topic := range topics {
		t.Rows = append(t.Rows, []string{topic, fmt.Sprint(h.messages[topic]), fmt.Sprint(h.twice[topic])})
	}
	return t
}
