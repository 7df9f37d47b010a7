package access

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// attempt is what somebody tries, and the words with which a server must refuse it;
// without any it must succeed.
type attempt struct {
	who, what string
	try       func() error
	refused   string
}

// judge tries everything, prints what came of it as a table in Markdown for whoever
// reads the output of the test, and compares the table with the one in the document.
func judge(t *testing.T, section string, attempts []attempt) {
	t.Helper()
	rows := [][]string{{"who", "tries to", "answer"}}
	for _, a := range attempts {
		err := a.try()
		answer := "yes"
		switch {
		case a.refused == "" && err != nil:
			answer = err.Error()
			t.Errorf("%s must be able to %s: %v", a.who, a.what, err)
		case a.refused != "" && err == nil:
			t.Errorf("%s can %s, and must not", a.who, a.what)
		case a.refused != "" && !strings.Contains(err.Error(), a.refused):
			answer = err.Error()
			t.Errorf("%s is refused to %s, but for another reason: %v; want %s", a.who, a.what, err, a.refused)
		case a.refused != "":
			answer = "no: " + a.refused
		}
		rows = append(rows, []string{a.who, a.what, answer})
	}
	var b strings.Builder
	if err := markdown(&b, rows); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d attempts\n%s", section, len(attempts), b.String())
	inDocument(t, section, b.String())
}

const document = "../../../../docs/access.md"

// inDocument says that docs/access.md has this text between the marks of the section,
// or, with UPDATE_DOCS=1 in the environment, puts it there.
func inDocument(t *testing.T, section, text string) {
	t.Helper()
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- begin %s -->\n", section), fmt.Sprintf("<!-- end %s -->", section)
	_, rest, ok := strings.Cut(string(content), begin)
	have, _, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("docs/access.md has no section %q between its marks", section)
	}
	switch {
	case have == text:
	case os.Getenv("UPDATE_DOCS") == "1":
		if err := os.WriteFile(document, []byte(strings.Replace(string(content), begin+have+end, begin+text+end, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/access.md: what is between the marks of %q is of yesterday: run this test with UPDATE_DOCS=1 and -parallel 1", section)
	}
}
