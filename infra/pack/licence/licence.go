// Package licence tells the licences of a module by the texts in its folder, and
// whether they allow it to be part of what is shipped under Apache-2.0.
package licence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// allowed are the SPDX identifiers of licences that a linked module may have.
// MPL-2.0 asks for the source of its own files only, and these are used unchanged.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// Allowed tells whether all of the licences allow it.
func Allowed(ids []string) bool {
	return len(ids) > 0 && !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(allowed, id) })
}

// ErrNotAllowed is in the chain of the error when a licence does not allow what
// has it to be shipped.
var ErrNotAllowed = errors.New("the licence does not allow it")

// Shippable returns the SPDX identifiers of the licences in a module's folder,
// and an error unless they allow the module to be shipped.
func Shippable(dir string) ([]string, error) {
	ids, err := Read(dir)
	if err == nil && !Allowed(ids) {
		err = fmt.Errorf("%w: %s", ErrNotAllowed, strings.Join(ids, ", "))
	}
	return ids, err
}

// Read returns the SPDX identifiers of the licences in a module's folder, sorted.
func Read(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for a licence: %w", err)
	}
	var ids []string
	for _, e := range entries {
		name, _, _ := strings.Cut(strings.ToUpper(e.Name()), ".")
		if !e.Type().IsRegular() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "UNLICENSE"}, name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read a licence: %w", err)
		}
		found := Identify(string(text))
		if len(found) == 0 {
			return nil, fmt.Errorf("%s is no licence known here", filepath.Join(dir, e.Name()))
		}
		ids = append(ids, found...)
	}
	if len(ids) == 0 {
		return nil, errors.New("no licence in " + dir)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// marks are what a licence's text has, and no other's of those looked for, all of
// them in small letters and with single spaces.
var marks = []struct {
	id    string
	texts []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy"}},
	{"ISC", []string{"permission to use, copy, modify, and"}},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0"}},
	{"AGPL-3.0-only", []string{"gnu affero general public license"}},
	{"LGPL-3.0-only", []string{"gnu lesser general public license"}},
	{"GPL-3.0-only", []string{"gnu general public license"}},
	{"BUSL-1.1", []string{"business source license"}},
	{"Elastic-2.0", []string{"elastic license"}},
	{"SSPL-1.0", []string{"server side public license"}},
	{"CC-BY-SA-4.0", []string{"attribution-sharealike"}},
	{"Unlicense", []string{"free and unencumbered software released into the public domain"}},
}

// Identify returns the SPDX identifiers of the licences that a text has, of
// which several may be in one file.
func Identify(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	var ids []string
	for _, m := range marks {
		if !slices.ContainsFunc(m.texts, func(mark string) bool { return !strings.Contains(text, mark) }) {
			ids = append(ids, m.id)
		}
	}
	if strings.Contains(text, "redistribution and use in source and binary forms") {
		if strings.Contains(text, "neither the name") || strings.Contains(text, "may not be used to endorse") || strings.Contains(text, "may be used to endorse") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	// The MPL names the GPL's as those it may be combined with.
	if slices.Contains(ids, "MPL-2.0") {
		ids = slices.DeleteFunc(ids, func(id string) bool { return strings.Contains(id, "GPL-") })
	}
	return ids
}
