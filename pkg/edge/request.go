package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// request checks every message that the handler receives: that it is not too
// large, that it decodes, and that it keeps the rules of its proto.
func (s *Server) request(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		return next(ctx, spec, checked{ServerStream: stream, server: s})
	}
}

type checked struct {
	connect.ServerStream

	server *Server
}

func (c checked) Receive(into any) error {
	if err := c.ServerStream.Receive(into); err != nil {
		return c.explain(err)
	}
	msg, ok := into.(proto.Message)
	if !ok {
		return nil
	}
	err := c.server.validator.Validate(msg)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return fmt.Errorf("validate request: %w", err)
	}
	violations := make([]Violation, 0, len(invalid.Violations))
	for _, v := range invalid.Violations {
		violations = append(violations, Violation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
			Rule:        v.Proto.GetRuleId(),
		})
	}
	return FieldErrors(violations...)
}

// explain translates the transport's errors of receiving.
func (c checked) explain(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	if bad, ok := errors.AsType[*malformed](err); ok {
		return bad.forClient()
	}
	switch connect.CodeOf(err) {
	case connect.CodeResourceExhausted:
		// The transport's code says "retry later", and the same message will never
		// be small enough.
		limit := strconv.Itoa(c.server.cfg.MaxBytes)
		return Error(connect.CodeInvalidArgument, "the request is larger than "+limit+" bytes",
			"REQUEST_TOO_LARGE", map[string]string{"limit_bytes": limit})
	case connect.CodeInvalidArgument:
		return Error(connect.CodeInvalidArgument, "the request is not a valid message", "MALFORMED_REQUEST", nil)
	default:
		return err
	}
}

// compileRules compiles the rules of every request message now: the first call
// would pay for it, and a rule that does not compile must stop the start.
func (s *Server) compileRules() error {
	for spec := range s.RPC.Specs() {
		method, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok {
			continue
		}
		err := s.validator.Validate(dynamicpb.NewMessage(method.Input()))
		if broken, ok := errors.AsType[*protovalidate.CompilationError](err); ok {
			return fmt.Errorf("validation rules of %s: %w", method.Input().FullName(), broken)
		}
	}
	return nil
}

// strictJSON refuses unknown fields: a misspelt optional field that is dropped
// in silence is an order that the customer did not mean. (Binary clients may
// send unknown fields, which is how they get ahead of the server in a roll-out.)
type strictJSON struct{ *connectproto.JSONCodec }

func newStrictJSON() strictJSON {
	codec := connectproto.NewJSONCodec()
	codec.UnmarshalOptions.DiscardUnknown = false
	return strictJSON{codec}
}

func (c strictJSON) UnmarshalRead(ctx context.Context, src io.Reader, msg any) error {
	if err := c.JSONCodec.UnmarshalRead(ctx, src, msg); err != nil {
		return &malformed{err}
	}
	return nil
}

// malformed is a request that is no JSON, or not of its message.
type malformed struct{ cause error }

func (m *malformed) Error() string { return m.cause.Error() }
func (m *malformed) Unwrap() error { return m.cause }

// namedField finds the field in protojson's texts, which are all that it gives:
// unknown field "x", invalid value for int32 field x: "y".
var namedField = regexp.MustCompile(`field "?([A-Za-z0-9_.]+)"?`)

func (m *malformed) forClient() error {
	// protojson varies the space after its prefix so that nobody compares texts.
	text := strings.TrimSpace(strings.TrimLeft(strings.TrimPrefix(m.cause.Error(), "proto:"), " \u00a0"))
	if found := namedField.FindStringSubmatch(text); found != nil {
		return FieldErrors(Violation{Field: found[1], Description: text, Rule: "MALFORMED_REQUEST"})
	}
	return Error(connect.CodeInvalidArgument, "the request is not valid JSON: "+text, "MALFORMED_REQUEST", nil)
}
