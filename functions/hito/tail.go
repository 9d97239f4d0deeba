package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hitolayer/hito/functions/hito/console"
	"github.com/hitolayer/hito/shared/config"
)

type tailCmd struct {
	config.Client `embed:""`

	Event string `help:"Only events, pages or screens of this name." placeholder:"NAME"`
	Type  string `help:"Only this type: track, page, screen, identify, group or alias." placeholder:"TYPE"`
	User  string `help:"Only this user or anonymous id." placeholder:"ID"`
	Last  int    `help:"Begin with up to N of the latest records." placeholder:"N"`
	Rate  int    `help:"Print about N events per second at most, and say how many were left out." placeholder:"N"`
	Count int    `short:"n" help:"End after N events." placeholder:"N"`
	JSON  bool   `name:"json" help:"Print whole events as JSON, one per line."`
}

func (c *tailCmd) Run(ctx context.Context) error {
	query := url.Values{}
	for key, value := range map[string]string{"event": c.Event, "type": c.Type, "user": c.User} {
		if value != "" {
			query.Set(key, value)
		}
	}
	for key, n := range map[string]int{"last": c.Last, "rate": c.Rate} {
		if n > 0 {
			query.Set(key, strconv.Itoa(n))
		}
	}
	resp, err := read(ctx, c.Client, "/v1/tail?"+query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(c.Client, resp)
	}
	err = c.print(os.Stdout, resp.Body)
	if ctx.Err() != nil {
		return nil // interrupted, which is how a tail ends
	}
	return err
}

func (c *tailCmd) print(w io.Writer, stream io.Reader) error {
	lines := bufio.NewReaderSize(stream, 64<<10)
	for n := 0; c.Count == 0 || n < c.Count; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return fmt.Errorf("%s ended the tail", c.URL)
		}
		if err != nil {
			return fmt.Errorf("read the tail of %s: %w", c.URL, err)
		}
		if len(line) < 2 {
			continue // a heartbeat
		}
		var e struct {
			console.Event
			Dropped int `json:"dropped"`
			// The console's own type of time only writes.
			Timestamp  time.Time `json:"timestamp"`
			ReceivedAt any       `json:"receivedAt"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("read the tail of %s: %w", c.URL, err)
		}
		if e.Dropped > 0 {
			fmt.Fprintf(os.Stderr, "(%d events left out)\n", e.Dropped)
			continue
		}
		n++
		if c.JSON {
			_, err = w.Write(line)
		} else {
			_, err = fmt.Fprintln(w, oneLine(e.Timestamp, &e.Event))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// oneLine is an event for people.
func oneLine(at time.Time, e *console.Event) string {
	who := e.UserID
	if who == "" {
		who = e.AnonymousID
	}
	name := e.Event
	if name == "" {
		name = e.Name
	}
	parts := []string{at.Local().Format("15:04:05.000"), fmt.Sprintf("%-8s", e.Type), who}
	if name != "" {
		parts = append(parts, strconv.Quote(name))
	}
	if x := e.Enriched; x != nil {
		if x.Page != nil && x.Page.Path != "" {
			parts = append(parts, x.Page.Path)
		}
		if x.Geo != nil && x.Geo.Country != "" {
			parts = append(parts, x.Geo.Country)
		}
		if d := x.Device; d != nil {
			parts = append(parts, strings.TrimSpace(d.Browser+" "+d.OS))
		}
		if r := x.Referrer; r != nil && r.Medium != "internal" {
			parts = append(parts, "from "+strings.TrimSpace(r.Medium+" "+r.Source))
		}
		if x.Bot {
			parts = append(parts, "bot")
		}
	}
	return printable(strings.Join(parts, "  "))
}

// printable takes out what could talk to the terminal: events hold what anybody sent.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
