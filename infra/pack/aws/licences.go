package aws

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/hitolayer/hito/infra/pack/licence"
	"github.com/hitolayer/hito/infra/pack/sbom"
)

// licences reads the licences of a function's modules where Go keeps their
// source, for which it is asked once.
func (b Build) licences(ctx context.Context, function string) sbom.Modules {
	var dirs map[string]string
	return func(path, version string) (sbom.Module, error) {
		if dirs == nil {
			var err error
			if dirs, err = b.dirs(ctx, function); err != nil {
				return sbom.Module{}, err
			}
		}
		dir := dirs[path+"@"+version]
		if dir == "" {
			return sbom.Module{}, errors.New("its source is not here: run go mod download")
		}
		ids, err := licence.Shippable(dir)
		return sbom.Module{Licences: ids}, err
	}
}

// dirs returns where the modules are that a function links, by path@version.
func (b Build) dirs(ctx context.Context, function string) (map[string]string, error) {
	const format = "{{with .Module}}{{with .Replace}}{{.Path}}@{{.Version}}{{else}}{{.Path}}@{{.Version}}{{end}}\t{{.Dir}}{{end}}"
	out, err := b.command(ctx, "list", "-deps", "-tags", tags, "-f", format, mainOf(function)).Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			return nil, fmt.Errorf("go list: %w\n%s", err, failed.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	dirs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if module, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			dirs[module] = dir
		}
	}
	return dirs, nil
}
