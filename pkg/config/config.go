// Package config reads a service's settings from the environment into one typed
// struct, and prints them without their secrets.
//
// Fields carry the tags of github.com/caarlos0/env:
//
//	type Config struct {
//		PostgresURL config.Secret `env:"POSTGRES_URL,required,notEmpty"`
//		ResendAfter time.Duration `env:"RESEND_AFTER" envDefault:"30s"`
//	}
//
// Every variable X can also come from a file that X_FILE names, which is how
// orchestrators hand over secrets.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Validator is implemented by a settings struct, with a value or a pointer
// receiver, that has rules of its own. Load calls it when every value could be
// read. Validate joins all of its errors, each naming the variable and the fix.
type Validator interface{ Validate() error }

// Load reads T from the environment of the process. The error joins everything
// that is wrong, one line each, naming the variable: a person who starts a
// service for the first time should have to correct it once.
func Load[T any]() (T, error) {
	return Parse[T](env.ToMap(os.Environ()))
}

// Parse is Load with the environment given, for tests and for tools that start
// services.
func Parse[T any](environment map[string]string) (T, error) {
	var v T
	fields := settings(reflect.ValueOf(&v).Elem(), "")
	environment, fileErrs := withFiles(environment, fields)
	err := env.ParseWithOptions(&v, env.Options{Environment: environment})
	if errs := append(fileErrs, explain(err, fields)...); len(errs) > 0 {
		return v, errors.Join(errs...)
	}
	if c, ok := any(&v).(Validator); ok {
		return v, c.Validate()
	}
	return v, nil
}

// setting is one field with an env tag.
type setting struct {
	variable string
	field    string // the Go name, by which the env package reports parse errors
	value    reflect.Value
}

// settings returns the fields of a struct in order, those of embedded and
// nested structs among them.
func settings(v reflect.Value, prefix string) []setting {
	var found []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		switch {
		case name != "" && name != "-":
			found = append(found, setting{variable: prefix + name, field: f.Name, value: v.Field(i)})
		case name == "" && f.Type.Kind() == reflect.Struct:
			found = append(found, settings(v.Field(i), prefix+f.Tag.Get("envPrefix"))...)
		}
	}
	return found
}

// withFiles returns a copy of the environment in which X has the content of the
// file that X_FILE names. A final line break is cut off: editors add it and no
// secret ends in one.
func withFiles(environment map[string]string, fields []setting) (map[string]string, []error) {
	named := make(map[string]bool, len(fields))
	for _, s := range fields {
		named[s.variable] = true
	}
	merged := make(map[string]string, len(environment))
	for k, v := range environment {
		merged[k] = v
	}
	var errs []error
	for _, s := range fields {
		path := environment[s.variable+"_FILE"]
		// JWT_PUBLIC_KEY_FILE may be a setting of its own.
		if path == "" || named[s.variable+"_FILE"] {
			continue
		}
		if environment[s.variable] != "" {
			errs = append(errs, fmt.Errorf("%s and %s_FILE are both set: unset one of them", s.variable, s.variable))
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s_FILE: %w", s.variable, err))
			// The one error is enough: don't also report the variable as missing.
			merged[s.variable] = "unreadable"
			continue
		}
		merged[s.variable] = strings.TrimRight(string(content), "\r\n")
	}
	return merged, errs
}

// explain turns the env package's errors into ones that name the variable, what
// it holds wrongly, and how to set it.
func explain(err error, fields []setting) []error {
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return []error{err}
	}
	errs := make([]error, 0, len(all.Errors))
	for _, e := range all.Errors {
		if missing, ok := errors.AsType[env.VarIsNotSetError](e); ok {
			e = fmt.Errorf("%s is not set: set it, or %s_FILE to a file that holds it", missing.Key, missing.Key)
		} else if empty, ok := errors.AsType[env.EmptyVarError](e); ok {
			e = fmt.Errorf("%s is empty: set it, or %s_FILE to a file that holds it", empty.Key, empty.Key)
		} else if bad, ok := errors.AsType[env.ParseError](e); ok {
			e = fmt.Errorf("%s is not a valid %s: %w", variableOf(bad.Name, fields), bad.Type, bad.Err)
		}
		errs = append(errs, e)
	}
	return errs
}

func variableOf(field string, fields []setting) string {
	for _, s := range fields {
		if s.field == field {
			return s.variable
		}
	}
	return field
}
