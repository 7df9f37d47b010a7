package message

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Names of the headers, as the CloudEvents Kafka binding and W3C Trace Context
// give them; ce_aggregateversion is an extension attribute of ours.
const (
	headerID          = "ce_id"
	headerType        = "ce_type"
	headerSource      = "ce_source"
	headerSubject     = "ce_subject"
	headerTime        = "ce_time"
	headerSpec        = "ce_specversion"
	headerVersion     = "ce_aggregateversion"
	headerContentType = "content-type"
	headerTraceParent = "traceparent"
)

const (
	specVersion = "1.0"
	contentType = "application/protobuf"
)

// ErrMalformed says that a record's headers are not those of a Message: no
// retry can ever change that.
var ErrMalformed = errors.New("malformed message")

// Record encodes m for the client. The record shares m's key, value and extra
// headers.
func (m Message) Record() *kgo.Record {
	h := make([]kgo.RecordHeader, 0, 9+len(m.Extra))
	add := func(key, value string) {
		if value != "" {
			h = append(h, kgo.RecordHeader{Key: key, Value: []byte(value)})
		}
	}
	add(headerID, m.ID)
	add(headerType, m.Type)
	add(headerSource, m.Source)
	add(headerSubject, m.Subject)
	if !m.Time.IsZero() {
		h = append(h, kgo.RecordHeader{Key: headerTime, Value: m.Time.UTC().AppendFormat(nil, time.RFC3339Nano)})
	}
	add(headerSpec, specVersion)
	if m.Version != 0 {
		h = append(h, kgo.RecordHeader{Key: headerVersion, Value: strconv.AppendInt(nil, m.Version, 10)})
	}
	add(headerContentType, contentType)
	add(headerTraceParent, m.TraceParent)
	return &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: append(h, m.Extra...)}
}

// FromRecord decodes a record of the log. It shares the record's key, value and
// extra headers. Every error is an ErrMalformed.
func FromRecord(r *kgo.Record) (Message, error) {
	m := Message{Topic: r.Topic, Key: r.Key, Value: r.Value}
	var spec string
	for i := range r.Headers {
		if err := m.header(&r.Headers[i], &spec); err != nil {
			return Message{}, fmt.Errorf("%w: header %s: %w", ErrMalformed, r.Headers[i].Key, err)
		}
	}
	var missing []string
	for _, f := range [...]struct{ name, value string }{
		{headerSpec, spec}, {headerID, m.ID}, {headerType, m.Type}, {headerSource, m.Source},
	} {
		if f.value == "" {
			missing = append(missing, f.name)
		}
	}
	if missing != nil {
		return Message{}, fmt.Errorf("%w: missing %s", ErrMalformed, strings.Join(missing, ", "))
	}
	return m, nil
}

// header takes one header into m. A header that comes twice counts as its last.
func (m *Message) header(h *kgo.RecordHeader, spec *string) error {
	var err error
	switch h.Key {
	case headerID:
		m.ID = string(h.Value)
	case headerType:
		m.Type = string(h.Value)
	case headerSource:
		m.Source = string(h.Value)
	case headerSubject:
		m.Subject = string(h.Value)
	case headerTraceParent:
		m.TraceParent = string(h.Value)
	case headerTime:
		m.Time, err = time.Parse(time.RFC3339Nano, string(h.Value))
		m.Time = m.Time.UTC()
	case headerVersion:
		m.Version, err = strconv.ParseInt(string(h.Value), 10, 64)
	case headerSpec:
		if string(h.Value) != specVersion {
			err = fmt.Errorf("%q is not %q", h.Value, specVersion)
		}
		*spec = specVersion
	case headerContentType:
		if string(h.Value) != contentType {
			err = fmt.Errorf("%q is not %q", h.Value, contentType)
		}
	default:
		m.Extra = append(m.Extra, *h)
	}
	return err
}
