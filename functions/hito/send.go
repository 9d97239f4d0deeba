package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hitolayer/hito/functions/hito/shop"
	"github.com/hitolayer/hito/shared/config"
)

type sendCmd struct {
	config.Client `embed:""`

	Files []string `arg:"" optional:"" help:"Files of events, one JSON object per line; '-' is standard input. May be gzipped."`

	AccessLog bool   `help:"The files are web server logs in the combined format: each line is a page event, its visitor the pair of address and user agent. Sending a file twice within a day changes nothing." group:"Access logs"`
	Site      string `help:"Site the log is of, such as https://example.com: logs do not say." placeholder:"URL" group:"Access logs"`

	Type        string            `enum:",track,page,screen,identify,group,alias" default:"" help:"Send one event of this type: track, page, screen, identify, group or alias." placeholder:"TYPE" group:"One event"`
	Name        string            `help:"Name of the event, page or screen." group:"One event"`
	UserID      string            `help:"User id." placeholder:"ID" group:"One event"`
	AnonymousID string            `help:"Anonymous id." placeholder:"ID" group:"One event"`
	PreviousID  string            `help:"Id the user was known by before (alias)." placeholder:"ID" group:"One event"`
	GroupID     string            `help:"Group the user is in (group)." placeholder:"ID" group:"One event"`
	MessageID   string            `help:"Message id; sending the same one again changes nothing." placeholder:"ID" group:"One event"`
	Property    map[string]string `short:"p" help:"Property, JSON or else text." placeholder:"KEY=VALUE" mapsep:"none" group:"One event"`
	Trait       map[string]string `short:"t" help:"Trait, JSON or else text." placeholder:"KEY=VALUE" mapsep:"none" group:"One event"`

	Demo     bool    `help:"Play shoppers, with a history of a week, on the sample project." group:"Demonstration"`
	Shoppers int     `default:"200" help:"How many shoppers." group:"Demonstration"`
	Seed     uint64  `default:"1" help:"Seed of their behaviour." group:"Demonstration"`
	Loop     bool    `help:"Go on with live shoppers until interrupted." group:"Demonstration"`
	Rate     float64 `default:"20" help:"Live events per second." group:"Demonstration"`

	Batch       int  `default:"500" help:"Events per request, up to 2500."`
	Connections int  `default:"4" help:"Requests at once."`
	JSON        bool `name:"json" help:"Print the summary as JSON."`
}

// Help is the long help of the command.
func (*sendCmd) Help() string {
	return `Examples:
  hito send --access-log /var/log/nginx/access.log --site https://example.com
  hito send --type track --name "Order Completed" --user-id u1 -p total=12.5
  zcat events.ndjson.gz | hito send -
  hito send --demo --loop

Events without a messageId get a random one, so that trying again cannot count
them twice. What has the same message id again is a duplicate and changes
nothing, for 24 hours and at least a visitor's last 2,560 events. So does the
demonstration's history: the same --seed within a day is the same events, another
--seed is other people. Exit code 1 when any event was not accepted.`
}

func (c *sendCmd) Run(ctx context.Context) error {
	if err := c.valid(); err != nil {
		return err
	}
	s := &sending{
		sender:  newSender(c.Client, c.Connections),
		batch:   c.Batch,
		started: time.Now(),
	}
	s.start(ctx, c.Connections)
	err := c.feed(s)
	if sendErr := s.finish(); sendErr != nil {
		err = sendErr
	}
	if c.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(s.summary()); err != nil {
			return err
		}
	} else {
		s.print(os.Stdout)
	}
	switch {
	case err != nil:
		return err
	case s.malformed+s.total.refused+s.total.quarantined > 0:
		return errFailed
	}
	return nil
}

func (c *sendCmd) valid() error {
	modes := 0
	for _, on := range []bool{len(c.Files) > 0, c.Type != "", c.Demo} {
		if on {
			modes++
		}
	}
	switch {
	case c.Type == "track" && c.Name == "":
		return usageError{errors.New("--type track needs --name")}
	case modes > 1:
		return usageError{errors.New("files, --type and --demo exclude each other")}
	case modes == 0:
		return usageError{errors.New("nothing to send: name a file ('-' is standard input), or use --type or --demo; see hito send --help")}
	case c.Batch < 1 || c.Batch > maxBatchEvents:
		return usageError{fmt.Errorf("--batch must be from 1 to %d", maxBatchEvents)}
	case c.Connections < 1:
		return usageError{errors.New("--connections must be at least 1")}
	case c.Demo && (c.Shoppers < 1 || c.Shoppers > 1_000_000):
		return usageError{errors.New("--shoppers must be from 1 to 1000000")}
	case c.Loop && c.Rate <= 0:
		return usageError{errors.New("--rate must be above 0")}
	}
	return nil
}

// feed puts the chosen events into s.
func (c *sendCmd) feed(s *sending) error {
	switch {
	case c.Type != "":
		event, err := c.oneEvent()
		if err != nil {
			return err
		}
		return s.put(event)
	case c.Demo:
		return c.play(s)
	}
	for _, name := range c.Files {
		if err := c.feedFile(s, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *sendCmd) oneEvent() ([]byte, error) {
	e := map[string]any{"type": c.Type, "messageId": cmp.Or(c.MessageID, mintID())}
	for key, value := range map[string]string{
		"userId": c.UserID, "anonymousId": c.AnonymousID, "previousId": c.PreviousID, "groupId": c.GroupID,
	} {
		if value != "" {
			e[key] = value
		}
	}
	if c.Name != "" {
		key := "name"
		if c.Type == "track" {
			key = "event"
		}
		e[key] = c.Name
	}
	for key, pairs := range map[string]map[string]string{"properties": c.Property, "traits": c.Trait} {
		if len(pairs) == 0 {
			continue
		}
		object := map[string]any{}
		for k, v := range pairs {
			if json.Valid([]byte(v)) {
				object[k] = json.RawMessage(v)
			} else {
				object[k] = v
			}
		}
		e[key] = object
	}
	return json.Marshal(e)
}

// play sends the shoppers' past week, then with --loop what they do now.
func (c *sendCmd) play(s *sending) error {
	stage := shop.New(c.Seed, c.Shoppers)
	bar := progress(int64(c.Shoppers), "shoppers", false)
	for events := range stage.History(time.Now()) {
		for _, e := range events {
			if err := s.put(e); err != nil {
				return err
			}
		}
		_ = bar.Add(1)
	}
	_ = bar.Finish()
	if !c.Loop {
		return nil
	}
	fmt.Fprintln(os.Stderr, "The shoppers go on; interrupt to end.")
	tick := time.NewTicker(time.Duration(float64(time.Second) / c.Rate))
	defer tick.Stop()
	s.batch = 1 // live: at once
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case now := <-tick.C:
			if err := s.put(stage.Live(now)); err != nil {
				return err
			}
		}
	}
}

// sending is a stream of events on its way to a hito in batches.
type sending struct {
	sender  *sender
	batch   int
	started time.Time

	ctx     context.Context
	cancel  context.CancelCauseFunc
	batches chan [][]byte
	workers sync.WaitGroup
	pending [][]byte
	size    int

	sent, malformed int
	mu              sync.Mutex // guards total
	total           verdict
}

func (s *sending) start(ctx context.Context, workers int) {
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.batches = make(chan [][]byte, workers)
	for range workers {
		s.workers.Go(func() {
			for events := range s.batches {
				v, err := s.sender.send(s.ctx, events)
				if err != nil {
					v.refused = len(events)
					s.cancel(err)
				}
				s.mu.Lock()
				s.total.add(v)
				s.mu.Unlock()
			}
		})
	}
}

// put sends an event, sooner or later.
func (s *sending) put(event []byte) error {
	if s.size+len(event) > maxBatchBytes {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.pending = append(s.pending, event)
	s.size += len(event) + 1
	s.sent++
	if len(s.pending) >= s.batch {
		return s.flush()
	}
	return nil
}

func (s *sending) flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	select {
	case s.batches <- s.pending:
	case <-s.ctx.Done():
		s.mu.Lock()
		s.total.refused += len(s.pending)
		s.mu.Unlock()
	}
	s.pending, s.size = nil, 0
	return context.Cause(s.ctx)
}

// finish sends the rest, and returns why not everything was sent.
func (s *sending) finish() error {
	_ = s.flush() // the cause is told below
	close(s.batches)
	s.workers.Wait()
	err := context.Cause(s.ctx)
	s.cancel(nil)
	if errors.Is(err, context.Canceled) {
		if s.total.refused == 0 {
			return nil // interrupted, and nothing was left behind
		}
		return fmt.Errorf("interrupted: %d events were not sent or not answered", s.total.refused)
	}
	return err
}

type sendSummary struct {
	Sent        int            `json:"sent"`
	Accepted    int            `json:"accepted"`
	Duplicate   int            `json:"duplicate"`
	Quarantined int            `json:"quarantined"`
	Refused     int            `json:"refused"`
	Malformed   int            `json:"malformed"`
	Reasons     map[string]int `json:"reasons,omitempty"`
	Seconds     float64        `json:"seconds"`
}

func (s *sending) summary() sendSummary {
	v := s.total
	return sendSummary{s.sent, v.accepted, v.duplicate, v.quarantined, v.refused, s.malformed, v.reasons,
		time.Since(s.started).Seconds()}
}

func (s *sending) print(w io.Writer) {
	m := s.summary()
	fmt.Fprintf(w, "sent %d, accepted %d", m.Sent, m.Accepted)
	for _, part := range []struct {
		n    int
		what string
	}{
		{m.Duplicate, "duplicate"}, {m.Quarantined, "quarantined"},
		{m.Refused, "not sent"}, {m.Malformed, "malformed"},
	} {
		if part.n > 0 {
			fmt.Fprintf(w, ", %s %d", part.what, part.n)
		}
	}
	fmt.Fprintf(w, " (%.0f/s)\n", float64(m.Accepted)/max(m.Seconds, 1e-3))
	for _, reason := range slices.SortedFunc(maps.Keys(m.Reasons), func(a, b string) int {
		return cmp.Or(m.Reasons[b]-m.Reasons[a], strings.Compare(a, b))
	}) {
		fmt.Fprintf(w, "  quarantined: %s %d\n", reason, m.Reasons[reason])
	}
}
