package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrorText renders an error for logs, spans and the headers of dead letters: as
// err.Error() does, but for the errors of others that quote what they were given.
// Of those it says which kind they are. Texts of our own name ids, codes and
// fields, never what a customer has written.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	walk(err, func(e error) {
		for _, r := range retellings(e) {
			if r[0] != "" {
				text = strings.ReplaceAll(text, r[0], r[1])
			}
		}
	})
	return scrub(text)
}

// PanicText renders what recover returned. The runtime's own texts have types
// and indexes; of a value that is no error the type alone is said, since anybody
// can panic with anything, and the stack says where.
func PanicText(value any) string {
	if err, ok := value.(error); ok {
		var own runtime.Error
		if errors.As(err, &own) {
			return err.Error()
		}
		return ErrorText(err)
	}
	return fmt.Sprintf("a value of type %T", value)
}

// walk visits err and all that it wraps, the outermost first.
func walk(err error, visit func(error)) {
	visit(err)
	switch u := err.(type) { //nolint:errorlint // This walks the tree itself.
	case interface{ Unwrap() error }:
		if inner := u.Unwrap(); inner != nil {
			walk(inner, visit)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range u.Unwrap() {
			if inner != nil {
				walk(inner, visit)
			}
		}
	}
}

// retellings lists what stands in the text of an error that quotes values, and
// what is said in place of it.
func retellings(err error) [][2]string {
	switch e := err.(type) { //nolint:errorlint // walk unwraps.
	case *pgconn.PgError:
		return [][2]string{{e.Error(), postgresText(e)}}
	case *strconv.NumError:
		return [][2]string{{e.Error(), "strconv." + e.Func + ": " + e.Err.Error()}}
	case *time.ParseError:
		return [][2]string{{e.Error(), "not a time of the form " + e.Layout}}
	case *json.UnmarshalTypeError:
		return [][2]string{{e.Error(), "json: field " + e.Field + " is no " + typeName(e.Type)}}
	case *url.Error:
		return [][2]string{{strconv.Quote(e.URL), strconv.Quote(withoutQuery(e.URL))}}
	case interface{ RedisError() }:
		word, _, _ := strings.Cut(err.Error(), " ")
		return [][2]string{{err.Error(), "redis: " + word}}
	}
	return nil
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "value of its type"
	}
	return t.String()
}

func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "unreadable"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// postgresText names code, constraint, table and column. The message is only
// there in classes that speak of the server or the statement; the others quote
// the data, and Detail and Where always do.
func postgresText(e *pgconn.PgError) string {
	var b strings.Builder
	b.WriteString("postgres " + e.Code)
	aboutTheServer := []string{"08", "25", "28", "3D", "40", "42", "53", "54", "55", "57", "58"}
	if len(e.Code) == 5 && slices.Contains(aboutTheServer, e.Code[:2]) {
		b.WriteString(": " + e.Message)
	}
	for _, part := range [][2]string{{"constraint", e.ConstraintName}, {"table", e.TableName}, {"column", e.ColumnName}} {
		if part[1] != "" {
			b.WriteString(", " + part[0] + " " + part[1])
		}
	}
	return b.String()
}
