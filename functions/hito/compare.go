package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/hitolayer/hito/shared/config"
)

type compareCmd struct {
	config.Secret `embed:""`
	config.Other  `embed:""`

	First     string        `arg:"" help:"Where one cloud's read API is."`
	Second    string        `arg:"" help:"Where the other's is."`
	ID        []string      `sep:"none" placeholder:"ID" help:"A person: user_id:<id> or anonymous_id:<id>. May be repeated."`
	IDs       []byte        `name:"ids" type:"filecontent" placeholder:"FILE" help:"File of such ids, one per line; - is standard input."`
	Sample    int           `placeholder:"N" help:"Compare N of the persons given, at random."`
	Patience  time.Duration `default:"30s" help:"How long to ask again for a person who differs."`
	Tolerance float64       `default:"0.001" help:"How far scores, and metrics that fade, may be apart, as a part of the larger."`
	JSON      bool          `name:"json" help:"Print every person as a line of JSON."`
}

// Help is the long help of the command.
func (*compareCmd) Help() string {
	return `Prints who differs, in what, and what the cause looks like: docs/operations.md tells
the causes. Exit code 0 when nobody differs, or no longer when asked again; 1 when
somebody does; 2 on wrong usage, or when a cloud cannot be asked.`
}

// Bounds of asking: persons at once, attempts for each and their time, and bytes of a profile.
const (
	askAtOnce   = 8
	askAttempts = 6
	askTimeout  = 10 * time.Second
	maxProfile  = 4 << 20
)

func (c *compareCmd) Run(ctx context.Context) error { return c.run(ctx, os.Stdout) }

func (c *compareCmd) run(ctx context.Context, out io.Writer) error {
	persons, err := c.persons()
	if err != nil {
		return usageError{err}
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	places := make(chan struct{}, askAtOnce)
	var all sync.WaitGroup
	for _, p := range persons {
		all.Go(func() {
			if err := c.settle(ctx, p, places); err != nil {
				giveUp(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return usageError{err} // for its exit code: 1 says that somebody differs
	}
	if err := c.print(out, persons); err != nil {
		return err
	}
	if slices.ContainsFunc(persons, (*comparison).differs) {
		return errFailed
	}
	return nil
}

// persons returns whom to compare, each once.
func (c *compareCmd) persons() (persons []*comparison, err error) {
	for _, text := range []string{c.First, c.Second} {
		// A password in an address would be printed with it.
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return nil, errors.New("an address is like https://profiles.example, without user and password")
		}
	}
	if c.Sample < 0 || c.Patience < 0 || c.Tolerance < 0 {
		return nil, errors.New("--sample, --patience and --tolerance cannot be negative")
	}
	ids := append(strings.FieldsFunc(string(c.IDs), func(r rune) bool { return r == '\n' || r == '\r' }), c.ID...)
	slices.Sort(ids)
	for _, s := range slices.Compact(ids) {
		if kind, id, _ := strings.Cut(s, ":"); kind != "user_id" && kind != "anonymous_id" || id == "" {
			return nil, fmt.Errorf("%q is not user_id:<id> or anonymous_id:<id>", s)
		}
		persons = append(persons, &comparison{ID: s})
	}
	if len(persons) == 0 {
		return nil, errors.New("nobody to compare: give --id or --ids")
	}
	if c.Sample > 0 && c.Sample < len(persons) {
		rand.Shuffle(len(persons), func(i, j int) { persons[i], persons[j] = persons[j], persons[i] })
		persons = persons[:c.Sample]
	}
	return persons, nil
}

// comparison is how two clouds differ in a person.
type comparison struct {
	ID string `json:"id"`
	// Outcome is equal, different, missing (to one of them), unknown (to both), or late: equal when asked again.
	Outcome string `json:"outcome"`
	// Cause is what the difference looks like; who is late, looked so before.
	Cause string `json:"cause,omitempty"`
	// Where is the address of the cloud that the cause is about, empty when it is about both.
	Where string `json:"where,omitempty"`
	// LateSeconds is how long after the first difference the two were seen to be equal.
	LateSeconds float64      `json:"late_seconds,omitempty"`
	Differences []difference `json:"differences,omitempty"`
}

func (p *comparison) differs() bool { return p.Outcome == "different" || p.Outcome == "missing" }

// settle compares a person, and while there is a difference again, in growing
// pauses, until the patience ends.
func (c *compareCmd) settle(ctx context.Context, p *comparison, places chan struct{}) error {
	var first time.Time
	for pause := time.Second; ; pause *= 2 {
		places <- struct{}{}
		err := c.compare(ctx, p)
		<-places
		switch {
		case err != nil:
			return err
		case p.differs() && first.IsZero():
			first = time.Now()
		case !p.differs() && !first.IsZero():
			p.Outcome, p.LateSeconds = "late", time.Since(first).Seconds()
		}
		left := time.Until(first.Add(c.Patience))
		if !p.differs() || left <= 0 {
			return nil
		}
		select {
		case <-time.After(min(pause, left)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// compare asks both clouds at the same moment.
func (c *compareCmd) compare(ctx context.Context, p *comparison) error {
	var sides [2]*side
	var errs [2]error
	var both sync.WaitGroup
	for i := range sides {
		both.Go(func() { sides[i], errs[i] = c.profile(ctx, i, p.ID) })
	}
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	p.Differences = nil
	switch {
	case sides[0] == nil && sides[1] == nil:
		p.Outcome = "unknown"
		return nil
	case sides[0] == nil || sides[1] == nil:
		p.Outcome = "missing"
	default:
		if p.Differences = differences(sides, c.Tolerance); len(p.Differences) == 0 {
			p.Outcome = "equal"
			return nil
		}
		p.Outcome = "different"
	}
	elsewhere, err := c.claimedElsewhere(ctx, sides)
	if err != nil {
		return err
	}
	var where int
	p.Cause, where = explain(sides, p.Differences, elsewhere, time.Now())
	p.Where = [...]string{"", c.First, c.Second}[1+where]
	return nil
}

// claimedElsewhere tells whether an anonymous id that one cloud shows of a
// user belongs to another user on the other cloud.
func (c *compareCmd) claimedElsewhere(ctx context.Context, sides [2]*side) (bool, error) {
	if sides[0] == nil || sides[1] == nil {
		return false, nil
	}
	for i, s := range sides {
		for _, id := range s.AnonymousIDs {
			owner := sides[1-i]
			if !slices.Contains(owner.AnonymousIDs, id) {
				var err error
				if owner, err = c.profile(ctx, 1-i, "anonymous_id:"+id); err != nil {
					return false, err
				}
			}
			if owner != nil && s.UserID != nil && owner.UserID != nil && *owner.UserID != *s.UserID {
				return true, nil
			}
		}
	}
	return false, nil
}

// profile reads a person's profile of the first cloud (0) or the second (1), nil when it knows nobody by the id.
func (c *compareCmd) profile(ctx context.Context, which int, id string) (s *side, err error) {
	client := config.Client{URL: c.First, Secret: c.Secret}
	if which == 1 {
		client.URL, client.SecretKey = c.Second, cmp.Or(c.OtherSecretKey, c.SecretKey)
	}
	for attempt := range askAttempts {
		if attempt > 0 {
			select {
			case <-time.After(backoff(attempt)):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		s, err = readProfile(ctx, client, id)
		if _, passing := errors.AsType[*retryError](err); !passing {
			return s, err
		}
	}
	return nil, err
}

func readProfile(ctx context.Context, c config.Client, selector string) (*side, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	kind, id, _ := strings.Cut(selector, ":")
	resp, err := read(ctx, c, "/v1/profiles/"+kind+":"+url.PathEscape(id))
	if err != nil {
		return nil, &retryError{err: err}
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return nil, &retryError{err: refusal(c, resp)}
	case resp.StatusCode == http.StatusNotFound:
		var answer struct{ Error struct{ Code string } }
		if json.NewDecoder(resp.Body).Decode(&answer) != nil || answer.Error.Code != "unknown_person" {
			return nil, fmt.Errorf("%s answers 404, and not as hito's read API does", c.URL)
		}
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(c, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProfile))
	if err != nil {
		return nil, &retryError{err: fmt.Errorf("read from %s: %w", c.URL, err)}
	}
	s, err := readSide(body)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer with a profile: %w", c.URL, err)
	}
	return s, nil
}

// print prints everybody as JSON, or for people who is not equal and how many are what.
func (c *compareCmd) print(w io.Writer, persons []*comparison) error {
	lines, table := json.NewEncoder(w), tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines.SetEscapeHTML(false)
	counts := map[string]int{}
	for _, p := range persons {
		if counts[p.Outcome]++; c.JSON {
			if err := lines.Encode(p); err != nil {
				return err
			}
		} else if p.Outcome != "equal" {
			what := strings.Join(p.fields(), ", ")
			if p.Outcome == "late" {
				what = fmt.Sprintf("equal after %.1fs", p.LateSeconds)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(p.ID), p.Outcome, cmp.Or(p.Cause, "-"), cmp.Or(p.Where, "-"), printable(what))
		}
	}
	if c.JSON {
		return nil
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d persons: %d equal, %d late, %d unknown to both, %d different, %d missing\n", len(persons),
		counts["equal"], counts["late"], counts["unknown"], counts["different"], counts["missing"])
	return err
}

// fields names what differs, for people: the first few.
func (p *comparison) fields() (names []string) {
	for i, d := range p.Differences {
		if i == 4 {
			return append(names, fmt.Sprintf("%d more", len(p.Differences)-i))
		}
		names = append(names, d.Field)
	}
	return names
}
