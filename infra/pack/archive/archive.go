// Package archive writes zips that depend on nothing but what is in them: the same
// files make the same bytes, whoever packs them, when and where.
package archive

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// File is one file of a zip.
type File struct {
	// Name is its path in the zip, with slashes.
	Name string
	Mode fs.FileMode
	Data []byte
}

// epoch is when every file was changed last: the earliest time a zip can tell.
var epoch = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Write writes a zip of the files, in their order.
func Write(w io.Writer, files []File) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, f := range files {
		h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: epoch}
		h.SetMode(f.Mode)
		entry, err := z.CreateHeader(h)
		if err == nil {
			_, err = entry.Write(f.Data)
		}
		if err != nil {
			return fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	return z.Close()
}
