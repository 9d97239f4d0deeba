package project

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// ParseKeys reads a keys document: project names and their keys. An error of
// type Problems lists everything wrong with it, and quotes nothing of it: a key
// may stand anywhere.
func ParseKeys(file string, data []byte) (map[string]Keys, error) {
	d := (&Document{File: file, secret: true}).read(data, "{}")
	projects := map[string]Keys{}
	owners := map[string]int{}
	read := func(kind string, value *yaml.Node) []string {
		list := d.entries(value, kind)
		for i, key := range list {
			at := value
			if value.Kind == yaml.SequenceNode && i < len(value.Content) {
				at = value.Content[i]
			}
			if line, taken := owners[key]; taken {
				d.Reportf(at, "the same key is on line %d: every key must be used once", line)
			}
			owners[key] = at.Line
		}
		return list
	}
	d.Fields(d.Root, "the keys document", func(name string, at, value *yaml.Node) {
		if !ValidName(name) {
			d.Reportf(at, "this cannot be a project's name: use up to 63 small letters, digits, - and _, beginning with a letter or digit, and not %q", KeysName)
		}
		var keys Keys
		d.Fields(value, "a project's keys", func(key string, at, value *yaml.Node) {
			switch key {
			case "write":
				keys.Write = read(key, value)
			case "secret":
				keys.Secret = read(key, value)
			default:
				d.Unknown(at, "a project's keys", "write", "secret")
			}
		})
		projects[name] = keys
	})
	if err := d.Err(); err != nil {
		return nil, err
	}
	return projects, nil
}

// IsKeys reports whether a document looks like one of keys, whatever its file
// is called: something in it has write or secret keys, and nothing in it is
// a project's file's.
func IsKeys(data []byte) bool {
	d := ReadDocument("", data, "")
	if d.Root == nil || d.Root.Kind != yaml.MappingNode {
		return false
	}
	found := false
	for i, n := range d.Root.Content {
		switch {
		case i%2 == 0 && slices.Contains(FileKeys, n.Value):
			return false
		case i%2 == 1 && n.Kind == yaml.MappingNode:
			for j := 0; j < len(n.Content); j += 2 {
				found = found || n.Content[j].Value == "write" || n.Content[j].Value == "secret"
			}
		}
	}
	return found
}
