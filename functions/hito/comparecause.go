package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hitolayer/hito/functions/profile"
)

// side is a profile as one cloud answers it.
type side struct {
	profile.Profile
	fields map[string]json.RawMessage // values by path, such as metrics.revenue
}

func readSide(body []byte) (*side, error) {
	s := &side{fields: map[string]json.RawMessage{}}
	if err := json.Unmarshal(body, &s.Profile); err != nil {
		return nil, err
	}
	flatten(s.fields, "", body)
	if _, ok := s.fields["events.total"]; !ok {
		return nil, errors.New("it has no events.total")
	}
	return s, nil
}

// flatten takes objects apart. What is null is as if it were not there.
func flatten(into map[string]json.RawMessage, path string, value json.RawMessage) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		var compact bytes.Buffer
		_ = json.Compact(&compact, value) // it is JSON: it was part of what was read
		into[path] = compact.Bytes()
	}
	for key, v := range object {
		if path != "" {
			key = path + "." + key
		}
		flatten(into, key, v)
	}
}

// difference is a field that has two values: of the first cloud, and of the second.
type difference struct {
	Field  string             `json:"field"`
	Values [2]json.RawMessage `json:"values"`
}

// differences returns the fields that differ, by name.
func differences(sides [2]*side, tolerance float64) []difference {
	names := maps.Clone(sides[0].fields)
	maps.Copy(names, sides[1].fields)
	var all []difference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, b := sides[0].fields[name], sides[1].fields[name]
		if !bytes.Equal(a, b) && !faded(name, a, b, tolerance) {
			all = append(all, difference{name, [2]json.RawMessage{a, b}})
		}
	}
	return all
}

// faded tells whether two values may be one that fades, at two moments. Scores
// may fade, and of the metrics decayed sums: they have more places than what is
// counted, or summed up of prices.
func faded(name string, a, b json.RawMessage, tolerance float64) bool {
	score, metric := strings.HasPrefix(name, "scores."), strings.HasPrefix(name, "metrics.")
	x, err1 := strconv.ParseFloat(string(a), 64)
	y, err2 := strconv.ParseFloat(string(b), 64)
	if err1 != nil || err2 != nil || !score && !(metric && (longFraction(x) || longFraction(y))) {
		return false
	}
	return math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
}

func longFraction(v float64) bool {
	_, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
	return len(fraction) > 6
}

// longBehind is how far no cloud may be behind the other (ADR 13).
const longBehind = 24 * time.Hour

// explain tells what a difference looks like, and of which cloud: its index, -1
// for both. elsewhere tells that an anonymous id has another owner on one.
func explain(sides [2]*side, differ []difference, elsewhere bool, now time.Time) (cause string, where int) {
	for i, s := range sides {
		if s != nil {
			continue
		}
		if now.Sub(sides[1-i].LastSeen.Time) > longBehind {
			return "erased", i
		}
		return "behind or erased", i
	}
	if elsewhere {
		return "claims differ", -1
	}
	for i, s := range sides {
		// A cloud that is behind lacks the newest events; an erasure takes the oldest.
		other := sides[1-i]
		if s.FirstSeen.After(other.FirstSeen.Time) && !s.LastSeen.Before(other.LastSeen.Time) && s.Events.Total < other.Events.Total {
			return "erased", i
		}
	}
	lacks, repeats := recents(sides)
	more := 0
	if sides[1].Events.Total > sides[0].Events.Total {
		more = 1
	}
	others := func(prefixes ...string) func(difference) bool {
		return func(d difference) bool {
			return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(d.Field, p) })
		}
	}
	switch {
	case lacks[0] && lacks[1]:
		return "behind", -1
	case lacks[0]:
		return "behind", 0
	case lacks[1]:
		return "behind", 1
	case sides[0].Events.Total == sides[1].Events.Total:
	case repeats[more]:
		return "counted twice", more
	default:
		return "counted twice or lost", more
	}
	switch {
	case !slices.ContainsFunc(differ, others("metrics.", "scores.", "segments")):
		return "rules differ", -1
	case !slices.ContainsFunc(differ, others("metrics.", "scores.", "segments", "anonymous_ids", "user_id")):
		return "claims differ", -1
	}
	return "unexplained", -1
}

// recents tells which cloud lacks a recent event that the other one has, and
// which shows one more often than the other. It looks no further back than both lists reach.
func recents(sides [2]*side) (lacks, repeats [2]bool) {
	var from time.Time
	counts := [2]map[profile.Recent]int{{}, {}}
	for _, s := range sides {
		if n := len(s.Recent); n > 0 && s.Events.Total > int64(n) && s.Recent[n-1].Time.After(from) {
			from = s.Recent[n-1].Time.Time
		}
	}
	for i, s := range sides {
		for _, r := range s.Recent {
			if !from.IsZero() && !r.Time.After(from) {
				continue // others of the same moment may be out of the list
			}
			counts[i][r]++
		}
	}
	for i, own := range counts {
		for r, n := range counts[1-i] {
			lacks[i] = lacks[i] || own[r] == 0
			repeats[1-i] = repeats[1-i] || own[r] > 0 && n > own[r]
		}
	}
	return lacks, repeats
}
