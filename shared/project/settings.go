package project

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// FileKeys are the top keys of a project's file. This package reads settings;
// the others are the rules'.
var FileKeys = []string{"settings", "metrics", "scores", "segments"}

// EmptyFile is a project's file that has no rules, and means it.
const EmptyFile = "metrics: {}"

// maxEntries bounds each list of the settings.
const maxEntries = 1000

// ParseSettings reads the settings of a project's file and leaves its rules
// alone. An error of type Problems lists everything wrong with the settings
// and the file's top keys.
func ParseSettings(file string, data []byte) (Settings, error) {
	d := ReadDocument(file, data, EmptyFile)
	s := d.Settings()
	if err := d.Err(); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// Settings reads the document's settings, reporting problems.
func (d *Document) Settings() Settings {
	s := Settings{IP: Truncate}
	d.Fields(d.Root, "the file", func(key string, at, value *yaml.Node) {
		switch key {
		case "settings":
			d.Fields(value, "settings", func(key string, at, value *yaml.Node) {
				d.setting(&s, key, at, value)
			})
		case "metrics", "scores", "segments":
		default:
			d.Unknown(at, "the file", FileKeys...)
		}
	})
	return s
}

func (d *Document) setting(s *Settings, key string, at, value *yaml.Node) {
	switch key {
	case "ip":
		text, ok := d.Text(value, key)
		if !ok {
			return
		}
		switch s.IP = AddressPolicy(text); s.IP {
		case Keep, Truncate, Drop:
		default:
			d.Reportf(value, "ip is %q; it can be keep, truncate or drop", text)
		}
	case "internal_hosts":
		s.InternalHosts = d.entries(value, key)
		for i, host := range s.InternalHosts {
			host = strings.ToLower(strings.TrimSuffix(host, "."))
			if strings.ContainsAny(host, "/: *") {
				d.Reportf(value, "internal_hosts has %q: write host names only, such as shop.example (subdomains are included)", host)
			}
			s.InternalHosts[i] = host
		}
	case "junk_ids":
		s.JunkIDs = d.entries(value, key)
	default:
		d.Unknown(at, "settings", "ip", "internal_hosts", "junk_ids")
	}
}

func (d *Document) entries(value *yaml.Node, key string) []string {
	if value.Kind == yaml.SequenceNode && len(value.Content) > maxEntries {
		d.Reportf(value, "%s has %d entries, at most %d are allowed", key, len(value.Content), maxEntries)
		return nil
	}
	return d.Texts(value, key)
}
