package local

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLastGood(t *testing.T) {
	l := LastGood{Dir: filepath.Join(t.TempDir(), "data", "lastgood")}
	if data, err := l.Load(t.Context(), "shop"); data != nil || err != nil {
		t.Errorf("nothing kept is %q, %v", data, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := l.Store(t.Context(), "shop", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := l.Load(t.Context(), "shop"); string(data) != text || err != nil {
			t.Errorf("kept %q, %v", data, err)
		}
	}
	files, err := os.ReadDir(l.Dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// A directory that cannot be made is an error, not a panic.
	if err := (LastGood{Dir: filepath.Join(l.Dir, "shop.yaml", "x")}).Store(t.Context(), "a", nil); err == nil {
		t.Error("stored under a file")
	}
}
