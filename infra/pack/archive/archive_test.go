package archive

import (
	"archive/zip"
	"bytes"
	"io"
	"testing"
)

func TestWrite(t *testing.T) {
	files := []File{{"bootstrap", 0o755, bytes.Repeat([]byte("\x7fELF and more "), 10_000)}, {"sub/data.txt", 0o644, nil}}
	var first, second bytes.Buffer
	for _, w := range []io.Writer{&first, &second} {
		if err := Write(w, files); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same files make two zips")
	}
	z, err := zip.NewReader(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil || len(z.File) != len(files) {
		t.Fatalf("%d files, %v", len(z.File), err)
	}
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if want := files[i]; err != nil || f.Name != want.Name || f.Mode() != want.Mode || !bytes.Equal(data, want.Data) || !f.Modified.Equal(epoch) {
			t.Errorf("%s of mode %v and %v has %d bytes, %v; want %s of %v", f.Name, f.Mode(), f.Modified, len(data), err, want.Name, want.Mode)
		}
	}
	if first.Len() > 10_000 {
		t.Errorf("%d bytes: not deflated", first.Len())
	}
}
