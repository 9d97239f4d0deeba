package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/shared/config"
)

type profileCmd struct {
	config.Client `embed:""`

	ID    string `arg:"" help:"user_id:<id> or anonymous_id:<id>; a bare id is tried as either."`
	After string `help:"Wait until this message id is in the profile." placeholder:"ID"`
	JSON  bool   `name:"json" help:"Print the profile as the read API answers it."`
}

func (c *profileCmd) Run(ctx context.Context) error {
	selectors := []string{"user_id:" + c.ID, "anonymous_id:" + c.ID}
	if strings.HasPrefix(c.ID, "user_id:") || strings.HasPrefix(c.ID, "anonymous_id:") {
		selectors = []string{c.ID}
	}
	after := ""
	if c.After != "" {
		after = "?timeout=10s&after=" + url.QueryEscape(c.After)
		if len(selectors) > 1 {
			return usageError{errors.New("--after needs user_id:<id> or anonymous_id:<id>")}
		}
	}
	for _, s := range selectors {
		kind, id, _ := strings.Cut(s, ":")
		resp, err := read(ctx, c.Client, "/v1/profiles/"+kind+":"+url.PathEscape(id)+after)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			continue
		}
		if resp.StatusCode != http.StatusOK {
			return refusal(c.Client, resp)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("read from %s: %w", c.URL, err)
		}
		if c.JSON {
			_, err = os.Stdout.Write(body)
			return err
		}
		return printProfile(os.Stdout, body)
	}
	return fmt.Errorf("nobody is known as %s", c.ID)
}

// read asks the read API.
func read(ctx context.Context, c config.Client, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.SecretKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w (does hito run there?)", c.URL, err)
	}
	return resp, nil
}

// refusal is an answer that is not what was asked for.
func refusal(c config.Client, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	var answer struct{ Error struct{ Message string } }
	text := string(bytes.TrimSpace(body))
	if json.Unmarshal(body, &answer) == nil && answer.Error.Message != "" {
		text = answer.Error.Message
	}
	return fmt.Errorf("%s answers %s: %s", c.URL, resp.Status, printable(text))
}

// printProfile prints a profile for people.
func printProfile(w io.Writer, body []byte) error {
	var p profile.Profile
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("read the profile: %w", err)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what string, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s\t%s\n", what, printable(text))
		}
	}
	if p.UserID != nil {
		row("user id", *p.UserID)
	}
	row("anonymous ids", strings.Join(p.AnonymousIDs, ", "))
	row("segments", strings.Join(p.Segments, ", "))
	row("events", fmt.Sprintf("%d in %d sessions", p.Events.Total, p.Sessions.Count))
	row("seen", p.FirstSeen.Local().Format(time.DateTime)+" to "+p.LastSeen.Local().Format(time.DateTime))
	if d := p.Device; d != nil {
		row("device", cmp.Or(d.BotName, words(d.Kind, d.Browser, d.BrowserVersion, d.OS, d.OSVersion)))
	}
	if g := p.Geo; g != nil {
		row("place", words(g.City, g.Country))
	}
	if p.Bot {
		row("bot", "yes")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Traits)) {
		row("trait "+printable(name), string(p.Traits[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Scores)) {
		if v, ok := p.Scores[name].(float64); ok {
			row("score "+name, strconv.FormatFloat(v, 'g', 5, 64))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
		row("metric "+name, text(p.Metrics[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Events.ByName)) {
		row("event "+printable(name), strconv.FormatInt(p.Events.ByName[name], 10))
	}
	for i := len(p.Recent) - 1; i >= 0; i-- {
		r := p.Recent[i]
		row("recent", strings.TrimSpace(r.Time.Local().Format(time.DateTime)+"  "+r.Type+"  "+strings.TrimSpace(r.Name+"  "+r.Path)))
	}
	return out.Flush()
}

func words(parts ...string) string {
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
