package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestLogKeysAreKnown reads the code of the services: a key in a log call that
// neither pkg/telemetry nor its service lists would be redacted at run time, when
// somebody needs its value. The provider is not ours and has its own log.
func TestLogKeysAreKnown(t *testing.T) {
	t.Parallel()
	shared := listed(t, "../../pkg/telemetry/keys.go", "technical")
	calls := 0
	for dir, own := range map[string]string{
		"../../pkg": "", "../../services/orders": "logkeys.go", "../../services/payments": "logkeys.go", "../../services/inventory": "logkeys.go",
	} {
		known := map[string]bool{}
		if own != "" {
			known = listed(t, filepath.Join(dir, own), "logKeys")
		}
		for key, where := range used(t, dir, &calls) {
			if !shared[key] && !known[key] {
				t.Errorf("%s: the key %q is in no list", where, key)
			}
		}
	}
	if calls < 50 {
		t.Errorf("%d log calls were found: this test no longer sees them", calls)
	}
}

// listed reads the keys of the map that a function returns.
func listed(t *testing.T, file, function string) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name != function {
			return false
		}
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			if key, ok := text(pair.Key); ok {
				keys[key] = true
			}
		}
		return true
	})
	if len(keys) == 0 {
		t.Fatalf("%s: %s lists no keys", file, function)
	}
	return keys
}

// used finds the keys of log calls below dir, and one place of each.
func used(t *testing.T, dir string, calls *int) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			args, isLog := arguments(call)
			if isLog {
				*calls++
			}
			for i := 0; i < len(args); i += 2 {
				if key, ok := text(args[i]); ok {
					found[key] = files.Position(args[i].Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// arguments returns the keys and values of a call to a logger.
func arguments(call *ast.CallExpr) (pairs []ast.Expr, ok bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, false
	}
	before := map[string]int{
		"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "Log": 3,
	}
	switch count, isLog := before[method.Sel.Name]; {
	case isLog && len(call.Args) >= count && logger(method.X):
		return call.Args[count:], true
	case method.Sel.Name == "Label" || method.Sel.Name == "WithLabels":
		for _, arg := range call.Args { // slog.String("key", value)
			if attr, ok := arg.(*ast.CallExpr); ok && len(attr.Args) > 0 {
				pairs = append(pairs, attr.Args[0], nil)
			}
		}
		return pairs, true
	}
	return nil, false
}

// logger tells a logger from a package with a function Error by its name.
func logger(e ast.Expr) bool {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	}
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "log") || strings.HasSuffix(name, "logger")
}

func text(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(literal.Value)
	return value, err == nil
}
