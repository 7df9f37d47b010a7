package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/ballast/deploy/observability/registry"
)

// generate writes what differs, and says what it did.
func generate(out io.Writer, root string) error {
	want, stale, err := differing(root)
	if err != nil {
		return err
	}
	for _, path := range stale {
		full := filepath.Join(root, path)
		content, ok := want[path]
		if !ok {
			if err := os.Remove(full); err != nil {
				return err
			}
			fmt.Fprintln(out, "removed", path)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, content, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(out, "wrote", path)
	}
	return nil
}

// check names what differs.
func check(out io.Writer, root string) error {
	_, stale, err := differing(root)
	if err != nil {
		return err
	}
	for _, path := range stale {
		fmt.Fprintln(out, "stale:", path)
	}
	if len(stale) > 0 {
		return errors.New("generated files are stale: run 'make generate' and commit the result")
	}
	return nil
}

// differing returns everything that the generators make, and the paths at which
// something else or nothing is, with the instruments of former owners.
func differing(root string) (want map[string][]byte, stale []string, err error) {
	want = map[string][]byte{}
	for _, generator := range generators {
		files, err := generator(root)
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(want, files)
	}
	for path, content := range want {
		have, err := os.ReadFile(filepath.Join(root, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		if err != nil || !bytes.Equal(have, content) {
			stale = append(stale, path)
		}
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if path, err = filepath.Rel(root, path); err != nil {
			return err
		}
		if _, ok := want[path]; entry.Name() == registry.GoFile && !ok {
			stale = append(stale, path)
		}
		return nil
	})
	slices.Sort(stale)
	return want, stale, err
}
