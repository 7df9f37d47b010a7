package edge

import (
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Domain is the domain of every reason: google.rpc.ErrorInfo wants reasons to be
// unique within one.
const Domain = "ballast"

// Error returns an error for the client. The message is for people and may
// change; the reason (UPPER_SNAKE_CASE) is for programs and may not. Metadata
// holds the values that a program needs to act, such as both totals of a changed
// price; it may be nil.
func Error(code connect.Code, message, reason string, metadata map[string]string) error {
	return withDetail(connect.NewError(code, message),
		&errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: metadata})
}

// RetryLater is Error for a state that passes by itself: the client is told to
// come back after a time, in google.rpc.RetryInfo and in the Retry-After header
// (whole seconds, rounded up).
func RetryLater(code connect.Code, message, reason string, after time.Duration) error {
	err := withDetail(connect.NewError(code, message), &errdetails.ErrorInfo{Reason: reason, Domain: Domain})
	return &retryLater{error: withDetail(err, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)}), after: after}
}

// retryLater carries the time past the encoded detail to the guard, which
// writes the header.
type retryLater struct {
	error

	after time.Duration
}

func (e *retryLater) Unwrap() error { return e.error }

// Because keeps the cause of an error that was made for the client, such as that
// of unavailable: the client does not see it, the log does.
func Because(err, cause error) error { return &because{error: err, cause: cause} }

type because struct {
	error

	cause error
}

func (e *because) Unwrap() error { return e.error }

// Violation is one field that breaks a rule.
type Violation struct {
	// Field is the path as the proto spells it: lines[2].quantity.
	Field string
	// Description says what is wanted, fit for the client.
	Description string
	// Rule names the rule for programs; it may be empty.
	Rule string
}

// FieldError returns invalid_argument with google.rpc.BadRequest for one field.
// Use it for rules that the proto can't express.
func FieldError(field, description string) error {
	return FieldErrors(Violation{Field: field, Description: description})
}

// FieldErrors is FieldError for everything that is wrong at once.
func FieldErrors(violations ...Violation) error {
	detail := &errdetails.BadRequest{}
	var message strings.Builder
	for i, v := range violations {
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: v.Field, Description: v.Description, Reason: v.Rule,
		})
		if i > 0 {
			message.WriteString("; ")
		}
		if v.Field != "" {
			message.WriteString(v.Field + ": ")
		}
		message.WriteString(v.Description)
	}
	return withDetail(connect.NewError(connect.CodeInvalidArgument, message.String()), detail)
}

// withDetail adds a detail. Marshalling one of Google's own messages fails only
// for text that is not UTF-8; the error is then worth more than its detail.
func withDetail(err *connect.Error, detail proto.Message) *connect.Error {
	encoded, encodeErr := connectproto.NewErrorDetail(detail)
	if encodeErr != nil {
		return err
	}
	return err.WithDetail(encoded)
}
