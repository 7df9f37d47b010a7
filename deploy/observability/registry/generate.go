package registry

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// GoFile is generated in each owner's directory.
const GoFile = "metrics_gen.go"

//go:embed instruments.go.tmpl
var instruments string

//go:embed metrics.md.tmpl
var page string

// owned are the metrics of one owner.
type owned struct {
	Owner, Package string
	Metrics        []Entry
	// Library are external histograms whose buckets the owner sets by a view.
	Library []Entry
}

// viewer is the package that sets the buckets of libraries' histograms.
const viewer = "pkg/telemetry"

// Generate returns what follows from the registry: the instruments of each owner
// below root, the root of the source tree, and docs/metrics.md. The keys are paths
// from the root.
func (r *Registry) Generate(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	owners := r.owners()
	for _, o := range owners {
		if o.Package == external {
			continue
		}
		dir := filepath.Join(root, o.Owner)
		var err error
		if o.Package, err = packageName(dir); err != nil {
			return nil, fmt.Errorf("metrics.yaml: %s: owner: %w", o.Metrics[0].Name, err)
		}
		if o.Owner == viewer {
			o.Library = r.library()
		}
		if files[filepath.Join(o.Owner, GoFile)], err = o.code(); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Owner, err)
		}
	}
	var doc bytes.Buffer
	err := parse("metrics.md", page).Execute(&doc, owners)
	files["docs/metrics.md"] = doc.Bytes()
	return files, err
}

// external takes the place of the package of what is not generated.
const external = "-"

// owners are in the order of the file.
func (r *Registry) owners() []*owned {
	var all []*owned
	for _, e := range r.Metrics {
		i := slices.IndexFunc(all, func(o *owned) bool { return o.Owner == e.Owner })
		if i < 0 {
			i = len(all)
			all = append(all, &owned{Owner: e.Owner})
		}
		if e.External {
			all[i].Package = external
		}
		all[i].Metrics = append(all[i].Metrics, e)
	}
	return all
}

func (r *Registry) library() []Entry {
	return slices.DeleteFunc(slices.Clone(r.Metrics), func(e Entry) bool { return !e.External || len(e.Buckets) == 0 })
}

// packageName reads it from any Go file of the directory.
func packageName(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == GoFile {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		return file.Name.Name, nil
	}
	return "", fmt.Errorf("%s: %w", dir, os.ErrNotExist)
}

func (o *owned) code() ([]byte, error) {
	var code bytes.Buffer
	if err := parse(GoFile, instruments).Execute(&code, o); err != nil {
		return nil, err
	}
	return format.Source(code.Bytes())
}

func parse(name, text string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{
		"quote": strconv.Quote,
		"join":  strings.Join,
		"cell":  func(s string) string { return strings.ReplaceAll(s, "|", `\|`) },
	}).Parse(text))
}

// Go is the metric's name in the generated code, without what the owner's
// directory says already: BrokerWait of stream.broker.wait in pkg/stream.
func (e *Entry) Go() string {
	words := strings.Split(e.Name, ".")
	if len(words) > 1 && slices.Contains(strings.Split(e.Owner, "/"), words[0]) {
		words = words[1:]
	}
	name := ""
	for _, word := range strings.FieldsFunc(strings.Join(words, "."), func(r rune) bool { return r == '.' || r == '_' }) {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}

// Constructor is the method of a meter that makes it, such as
// Int64ObservableGauge; the instrument's type has the same name.
func (e *Entry) Constructor() string {
	name := map[string]string{"int": "Int64", "float": "Float64"}[e.Type]
	if e.Observable {
		name += "Observable"
	}
	return name + e.Kind()
}

// Kind is the instrument in Go's words.
func (e *Entry) Kind() string {
	return map[string]string{Counter: "Counter", UpDownCounter: "UpDownCounter", Gauge: "Gauge", Histogram: "Histogram"}[e.Instrument]
}

// Bounds are the buckets as they are written.
func (e *Entry) Bounds() string {
	bounds := make([]string, len(e.Buckets))
	for i, b := range e.Buckets {
		bounds[i] = strconv.FormatFloat(b, 'f', -1, 64)
	}
	return strings.Join(bounds, ", ")
}

// Explained are the attributes with what they mean, one line each.
func (e *Entry) Explained() []string {
	lines := []string{}
	for _, name := range e.attributes() {
		a := e.Attributes[name]
		line := name + ": " + strings.TrimSuffix(a.About, ".")
		if len(a.Values) > 0 {
			line += " (" + strings.Join(a.Values, ", ") + ")"
		}
		lines = append(lines, line)
	}
	return lines
}
