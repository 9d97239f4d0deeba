package main

import (
	"bytes"
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
	var p struct {
		UserID       string                     `json:"user_id"`
		AnonymousIDs []string                   `json:"anonymous_ids"`
		Traits       map[string]json.RawMessage `json:"traits"`
		Events       struct {
			Total  int64            `json:"total"`
			ByName map[string]int64 `json:"by_name"`
		} `json:"events"`
		Metrics   map[string]any      `json:"metrics"`
		Scores    map[string]*float64 `json:"scores"`
		Segments  []string            `json:"segments"`
		Sessions  struct{ Count int } `json:"sessions"`
		FirstSeen time.Time           `json:"first_seen"`
		LastSeen  time.Time           `json:"last_seen"`
		Device    map[string]string   `json:"device"`
		Geo       map[string]any      `json:"geo"`
		Bot       bool                `json:"bot"`
		Recent    []struct {
			Type, Name, Path string
			Time             time.Time
		} `json:"recent"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("read the profile: %w", err)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what string, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s\t%s\n", what, printable(text))
		}
	}
	row("user id", p.UserID)
	row("anonymous ids", strings.Join(p.AnonymousIDs, ", "))
	row("segments", strings.Join(p.Segments, ", "))
	row("events", fmt.Sprintf("%d in %d sessions", p.Events.Total, p.Sessions.Count))
	row("seen", p.FirstSeen.Local().Format(time.DateTime)+" to "+p.LastSeen.Local().Format(time.DateTime))
	device := p.Device["bot_name"]
	if device == "" {
		device = strings.Join(strings.Fields(strings.Join([]string{p.Device["kind"], p.Device["browser"], p.Device["browser_version"], p.Device["os"], p.Device["os_version"]}, " ")), " ")
	}
	row("device", device)
	row("place", strings.Trim(fmt.Sprint(text(p.Geo["city"]), " ", text(p.Geo["country"])), " "))
	if p.Bot {
		row("bot", "yes")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Traits)) {
		row("trait "+printable(name), string(p.Traits[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Scores)) {
		if v := p.Scores[name]; v != nil {
			row("score "+name, strconv.FormatFloat(*v, 'g', 5, 64))
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

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
