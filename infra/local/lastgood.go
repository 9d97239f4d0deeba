package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hitolayer/hito/shared/project"
)

// LastGood keeps documents as files <name>.yaml of a directory, which is made
// when it is needed. Only the process's user can read them: one has keys.
type LastGood struct{ Dir string }

var _ project.LastGood = LastGood{}

func (l LastGood) path(name string) string { return filepath.Join(l.Dir, name+".yaml") }

// Load implements project.LastGood.
func (l LastGood) Load(_ context.Context, name string) ([]byte, error) {
	data, err := os.ReadFile(l.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the last good %s: %w", name, err)
	}
	return data, nil
}

// Store implements project.LastGood.
func (l LastGood) Store(_ context.Context, name string, data []byte) error {
	if kept, err := os.ReadFile(l.path(name)); err == nil && bytes.Equal(kept, data) {
		return nil
	}
	if err := l.store(name, data); err != nil {
		return fmt.Errorf("keep the last good %s: %w", name, err)
	}
	return nil
}

func (l LastGood) store(name string, data []byte) error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(l.Dir, name+".*.new") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), l.path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(l.Dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
