package local

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/project"
)

// File is a document in a file.
type File struct{ Path string }

var _ project.Source = File{}

// Fetch implements project.Source. The tag is a hash of the content, so that a
// file that was touched or replaced by its like counts as unchanged.
func (f File) Fetch(_ context.Context, tag string) (data []byte, newTag string, err error) {
	data, err = os.ReadFile(f.Path)
	if err != nil {
		return nil, "", fmt.Errorf("fetch document: %w", err)
	}
	newTag = strconv.FormatUint(xxhash.Sum64(data), 16)
	if newTag == tag {
		return nil, tag, nil
	}
	return data, newTag, nil
}
