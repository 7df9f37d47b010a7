package dlq

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The contracts of all services: their types are known by name.
	_ "example.com/ballast/gen/inventory/v1"
	_ "example.com/ballast/gen/orders/v1"
	_ "example.com/ballast/gen/payments/v1"
)

// Detail is a letter with all that is in it.
type Detail struct {
	*Letter

	// Headers in their order: the message's own first, then those of its origin.
	Headers []Header `json:"headers"`
	// Value is the message as JSON; Raw are its bytes when it can't be read, and
	// ValueError says why.
	Value      json.RawMessage `json:"value,omitempty"`
	Raw        []byte          `json:"raw,omitempty"`
	ValueError string          `json:"valueError,omitempty"`
}

// Header of a record. Raw holds it when it is not text.
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	Raw   []byte `json:"raw,omitempty"`
}

// Detail opens a letter. Nothing is hidden: messages carry ids, and no personal
// data.
func (l *Letter) Detail() Detail {
	d := Detail{Letter: l}
	for _, h := range l.record.Headers {
		if text(h.Value) {
			d.Headers = append(d.Headers, Header{Key: h.Key, Value: string(h.Value)})
		} else {
			d.Headers = append(d.Headers, Header{Key: h.Key, Raw: h.Value})
		}
	}
	value, err := Decode(l.Type, l.record.Value)
	if d.Value = value; err != nil {
		d.ValueError, d.Raw = err.Error(), l.record.Value
	}
	return d
}

func text(b []byte) bool {
	for _, r := range string(b) {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Decode renders a Protobuf value of a type of ours as JSON.
func Decode(typ string, value []byte) (json.RawMessage, error) {
	known, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(typ))
	if errors.Is(err, protoregistry.NotFound) {
		return nil, fmt.Errorf("type %s is not one of ours", typ)
	}
	if err != nil {
		return nil, fmt.Errorf("type %s: %w", typ, err)
	}
	msg := known.New().Interface()
	if err := proto.Unmarshal(value, msg); err != nil {
		return nil, fmt.Errorf("the bytes are no %s: %w", typ, err)
	}
	return protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(msg)
}
