package rules

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/project"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What is wrong with a file is told with its place, and in words that help.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files, error %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(path), data)
			if err == nil {
				t.Fatal("no problem was found")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("problems are\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Every problem of an expression points at a character of the file.
func TestProblemsPointIntoTheFile(t *testing.T) {
	data, err := os.ReadFile("testdata/bad/positions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	_, err = Parse("f", data)
	problems, ok := errors.AsType[project.Problems](err)
	if !ok {
		t.Fatalf("error is %T: %v", err, err)
	}
	found := 0
	for _, p := range problems {
		if !strings.HasPrefix(p.Msg, "unknown name") {
			continue
		}
		found++
		rest := string([]rune(lines[p.Line-1])[p.Column-1:])
		if !strings.HasPrefix(rest, "nope") && !strings.HasPrefix(rest, "nada") {
			t.Errorf("%v points at %q", p, rest)
		}
	}
	if found != 9 {
		t.Errorf("%d unknown names found, want 9:\n%v", found, err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	files = append(files, "../project/sample/shop.yaml")
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse("f", data)
		if err != nil {
			if !utf8.ValidString(err.Error()) || err.Error() == "" {
				t.Errorf("problems are no text: %q", err)
			}
			return
		}
		e := track("page", 0, `{"revenue":1,"a":[1,{"b":"c"}]}`)
		p := fold(r, e)
		r.Evaluate(p, epoch)
		r.Standings(p, epoch, nil)
	})
}
