package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/shared/config"
)

type compareCmd struct {
	A         string        `arg:"" placeholder:"URL" help:"Where one cloud's profiles are."`
	B         string        `arg:"" placeholder:"URL" help:"Where the other's are."`
	IDs       []string      `arg:"" optional:"" name:"id" help:"user_id:<id> or anonymous_id:<id>; without any, they are read from standard input, one a line."`
	SecretKey string        `env:"HITO_SECRET_KEY" default:"demo-secret" placeholder:"KEY" help:"Project's secret key, to read with."`
	Sample    int           `default:"200" placeholder:"N" help:"Of more ids than that, so many are drawn."`
	Patience  time.Duration `default:"30s" help:"How long a difference may last that is only the relay's lag."`
	JSON      bool          `name:"json" help:"Print a JSON object for each person."`
}

// compared is what became of one person's comparison.
type compared struct {
	ID string `json:"id"`
	// Cause is empty when both clouds show the same.
	Cause  string   `json:"cause,omitempty"`
	Fields []string `json:"fields,omitempty"`
	// Behind is how long it took until both showed the same, in seconds.
	Behind float64 `json:"behind_seconds,omitempty"`
}

// asking bounds how many persons are compared at a time.
const asking = 8

func (c *compareCmd) Run(ctx context.Context) error {
	ids, err := c.sample(os.Stdin)
	if err != nil {
		return err
	}
	results := make([]compared, len(ids))
	errs := make([]error, len(ids))
	var asked sync.WaitGroup
	places := make(chan struct{}, asking)
	for i, id := range ids {
		places <- struct{}{}
		asked.Go(func() {
			defer func() { <-places }()
			results[i], errs[i] = c.compare(ctx, id)
		})
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.report(os.Stdout, results)
}

// sample returns the ids to compare, in the order given.
func (c *compareCmd) sample(in io.Reader) ([]string, error) {
	ids := c.IDs
	if len(ids) == 0 {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if id := strings.TrimSpace(lines.Text()); id != "" {
				ids = append(ids, id)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read ids: %w", err)
		}
	}
	for _, id := range ids {
		kind, rest, _ := strings.Cut(id, ":")
		if kind != "user_id" && kind != "anonymous_id" || rest == "" {
			return nil, usageError{fmt.Errorf("%q is neither user_id:<id> nor anonymous_id:<id>", id)}
		}
	}
	switch {
	case len(ids) == 0:
		return nil, usageError{errors.New("nobody to compare: give ids, or one a line on standard input")}
	case c.Sample < 1:
		return nil, usageError{errors.New("--sample must be 1 or more")}
	case len(ids) > c.Sample:
		ids = slices.Clone(ids)
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		ids = ids[:c.Sample]
	}
	return ids, nil
}

// compare asks both clouds at a time until they show the same, or patience ends.
func (c *compareCmd) compare(ctx context.Context, id string) (compared, error) {
	began := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		a, b, err := c.both(ctx, id)
		if err != nil {
			return compared{}, err
		}
		fields := differences(a, b)
		took := time.Since(began)
		switch {
		case len(fields) == 0 && wait == 100*time.Millisecond:
			return compared{ID: id}, nil
		case len(fields) == 0:
			return compared{ID: id, Behind: math.Round(took.Seconds()*10) / 10}, nil
		case took >= c.Patience:
			return compared{ID: id, Fields: fields, Cause: cause(a, b, fields)}, nil
		}
		select {
		case <-ctx.Done():
			return compared{}, ctx.Err()
		case <-time.After(min(wait, max(c.Patience-took, 0))):
		}
	}
}

func (c *compareCmd) both(ctx context.Context, id string) (a, b *profile.Profile, err error) {
	var ask sync.WaitGroup
	var errA, errB error
	ask.Go(func() { a, errA = c.get(ctx, c.A, id) })
	ask.Go(func() { b, errB = c.get(ctx, c.B, id) })
	ask.Wait()
	return a, b, errors.Join(errA, errB)
}

// get returns what a cloud shows of a person, nil when it knows nobody. What fails
// for a moment is tried again.
func (c *compareCmd) get(ctx context.Context, at, id string) (*profile.Profile, error) {
	kind, rest, _ := strings.Cut(id, ":")
	client := config.Client{URL: at, SecretKey: c.SecretKey}
	for attempt := 1; ; attempt++ {
		p, again, err := decode(ctx, client, "/v1/profiles/"+kind+":"+url.PathEscape(rest))
		if err == nil || !again || attempt == 5 {
			return p, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(backoff(attempt)):
		}
	}
}

func decode(ctx context.Context, client config.Client, path string) (p *profile.Profile, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := read(ctx, client, path)
	if err != nil {
		return nil, true, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, false, nil
	case resp.StatusCode != http.StatusOK:
		return nil, resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests, refusal(client, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, true, fmt.Errorf("read from %s: %w", client.URL, err)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, false, fmt.Errorf("%s answers what is no profile: %w", client.URL, err)
	}
	return p, false, nil
}

// differences returns the keys of a profile by which two differ.
func differences(a, b *profile.Profile) []string {
	if a == nil || b == nil {
		if a != b {
			return []string{"known"}
		}
		return nil
	}
	var fields []string
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		if !same(x.Field(i).Interface(), y.Field(i).Interface()) {
			fields = append(fields, x.Type().Field(i).Tag.Get("json"))
		}
	}
	return fields
}

// fading is by how much, of itself, a number may differ between two looks a moment apart.
const fading = 1e-3

func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b := b.(map[string]any)
		for k, v := range a {
			if other, ok := b[k]; !ok || !same(v, other) {
				return false
			}
		}
		return len(a) == len(b)
	case map[string]json.RawMessage:
		return reflect.DeepEqual(texts(a), texts(b.(map[string]json.RawMessage)))
	case float64:
		b, ok := b.(float64)
		return ok && math.Abs(a-b) <= fading*max(math.Abs(a), math.Abs(b))
	case []string:
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b.([]string))))
	}
	return reflect.DeepEqual(a, b)
}

func texts(m map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		var b bytes.Buffer
		if json.Compact(&b, v) != nil {
			b.Write(v)
		}
		out[k] = b.String()
	}
	return out
}

// The causes that a difference may have, as far as profiles tell.
const (
	causeMissing = "known on one side only: not relayed yet, or erased there"
	causeBehind  = "one side has fewer events: its relay or its score is behind"
	causeApart   = "each side has events that the other has not: the link between them, or both relays, are behind"
	causeTwice   = "the same latest events and other counts: a repeat was counted again, or an erasure took more"
	causeClaims  = "the same events and another identity: a claim is missing on one side"
	causeRules   = "the same events and other numbers: other rules are in service"
	causeOther   = "the same events, and yet another profile: unexplained"
)

func cause(a, b *profile.Profile, fields []string) string {
	differ := func(names ...string) bool {
		return slices.ContainsFunc(fields, func(f string) bool { return slices.Contains(names, f) })
	}
	switch {
	case a == nil || b == nil:
		return causeMissing
	case differ("events"):
		more, fewer := false, false
		for name, n := range a.Events.ByName {
			more, fewer = more || n > b.Events.ByName[name], fewer || n < b.Events.ByName[name]
		}
		for name, n := range b.Events.ByName {
			more, fewer = more || n < a.Events.ByName[name], fewer || n > a.Events.ByName[name]
		}
		switch {
		case more && fewer:
			return causeApart
		case differ("user_id", "anonymous_ids"):
			return causeClaims
		case !differ("recent", "last_seen", "first_seen"):
			return causeTwice
		}
		return causeBehind
	case differ("user_id", "anonymous_ids"):
		return causeClaims
	case !differ("traits", "recent", "last_seen", "first_seen", "sessions", "device", "geo", "bot", "first_touch", "last_touch", "group_id"):
		return causeRules
	}
	return causeOther
}

func (c *compareCmd) report(w io.Writer, results []compared) error {
	different, late, latest := 0, 0, 0.0
	for _, r := range results {
		if r.Cause != "" {
			different++
		}
		if r.Behind > 0 {
			late, latest = late+1, max(latest, r.Behind)
		}
	}
	if c.JSON {
		out := json.NewEncoder(w)
		for _, r := range results {
			if err := out.Encode(r); err != nil {
				return err
			}
		}
	} else {
		fmt.Fprintf(w, "%d persons: %d the same, %d different", len(results), len(results)-different, different)
		if late > 0 {
			fmt.Fprintf(w, "; of the same %d only after %.1f s at most", late, latest)
		}
		fmt.Fprintln(w)
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, r := range results {
			if r.Cause != "" {
				fmt.Fprintf(out, "%s\t%s\t%s\n", printable(r.ID), strings.Join(r.Fields, ", "), r.Cause)
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	if different > 0 {
		return errFailed
	}
	return nil
}
