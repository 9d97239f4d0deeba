package score_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
)

// words collects what is told the other cloud; err, when set, is returned instead.
type words struct {
	told []stream.Record
	err  error
}

func (w *words) Publish(_ context.Context, records []stream.Record) error {
	if w.err == nil {
		w.told = append(w.told, records...)
	}
	return w.err
}

// clouds is one of two, at a time that the test moves.
type clouds struct {
	*world
	words *words
	now   time.Time
}

func newClouds(t *testing.T) *clouds {
	c := &clouds{world: newWorld(t), words: &words{}, now: time.UnixMilli(epoch + 1000)}
	c.Origin, c.Enriched, c.Now = "aws", c.words, func() time.Time { return c.now }
	return c
}

// from is a track event that a cloud received.
func (c *clouds) from(origin, user, anonymous string) stream.Record {
	r, err := event.Decode(c.track(user, anonymous).Data)
	if err != nil {
		c.Fatal(err)
	}
	r.Origin = origin
	return c.encode(r)
}

// told is the other cloud's word.
func (c *clouds) told(key, segment string, changes int64) stream.Record {
	return c.encode(&event.Record{
		Project: "p", Key: key, Origin: "gcp", ReceivedAt: c.now.UnixMilli(), Told: []*event.Told{{Segment: segment, Changes: changes}},
	})
}

// wait lets time pass, and sweeps.
func (c *clouds) wait(d time.Duration) {
	c.Helper()
	c.now = c.now.Add(d)
	c.reevaluate()
}

func TestTheCloudOfTheNewestEventTells(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("gcp", "", "a"), c.from("aws", "", "a"))
	c.expect("+warm a:a")
	if len(c.words.told) != 1 {
		t.Fatalf("told %d", len(c.words.told))
	}
	r, err := event.Decode(c.words.told[0].Data)
	if err != nil || r.Key != "a:a" || r.Origin != "aws" || len(r.Events) != 0 || len(r.Told) != 1 || r.Told[0].Segment != "warm" || r.Told[0].Changes != 1 {
		t.Errorf("told %v, %v", r, err)
	}
	c.handle(c.from("aws", "", "b"), c.from("gcp", "", "b"))
	c.expect("+warm a:a")
	if !c.person("a:b").Head.In("warm") || c.book.Segments["warm"] != 2 {
		t.Error("b is not in the segment")
	}
}

// TestWhatIsHeardIsNotTold: before it is decided, and after.
func TestWhatIsHeardIsNotTold(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("gcp", "", "a"), c.from("gcp", "", "a"))
	c.handle(c.told("a:a", "warm", 1))
	c.handle(c.told("a:b", "warm", 1))
	c.handle(c.from("gcp", "", "b"), c.from("gcp", "", "b"))
	for range 3 {
		c.wait(time.Hour)
	}
	c.expect()
	// What comes after has another number than what was heard.
	c.handle(c.from("aws", "", "b"), c.from("aws", "", "b"))
	c.expect("-warm a:b")
	if got := c.actions.published[0]; got.Changes <= 1 || got.Id == profile.TransitionID(c.person("a:b").Head, "warm", 1) {
		t.Errorf("published %v", got)
	}
}

// TestWhatIsNotHeardIsToldAfterTheHold: the other cloud is dead.
func TestWhatIsNotHeardIsToldAfterTheHold(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("gcp", "", "a"), c.from("gcp", "", "a"))
	c.wait(5*time.Minute - time.Second)
	c.expect()
	c.wait(time.Second)
	c.expect("+warm a:a")
	c.wait(time.Hour)
	c.expect("+warm a:a")
}

// TestWhatIsUndoneIsNotTold: neither the entry nor the exit.
func TestWhatIsUndoneIsNotTold(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("gcp", "", "a"), c.from("gcp", "", "a"))
	c.handle(c.from("gcp", "", "a"), c.from("gcp", "", "a"))
	c.wait(time.Hour)
	c.expect()
}

// TestTheLastWordIsRight: the other cloud saw less, told that, and died.
func TestTheLastWordIsRight(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("aws", "", "a"), c.from("aws", "", "a"))
	c.handle(c.from("aws", "", "a"), c.from("aws", "", "a"))
	c.expect("+warm a:a", "-warm a:a")
	c.handle(c.told("a:a", "warm", 3)) // it has not seen the last two
	c.wait(time.Hour)
	c.expect("+warm a:a", "-warm a:a", "-warm a:a")
	if got := c.actions.published[2].Changes; got <= 3 {
		t.Errorf("change %d", got)
	}
	c.handle(c.told("a:a", "warm", 1)) // an old word
	c.wait(time.Hour)
	if n := len(c.actions.published); n != 3 {
		t.Errorf("%d transitions", n)
	}
}

// TestTheOwnWordIsNotHeard, nor anybody's where there is one cloud.
func TestTheOwnWordIsNotHeard(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("aws", "", "a"), c.from("aws", "", "a"))
	saves := len(c.store.saves)
	c.handle(c.words.told...)
	c.Enriched = nil
	c.handle(c.told("a:a", "warm", 4))
	if n := len(c.store.saves) - saves; n != 0 {
		t.Errorf("%d saves", n)
	}
}

// TestAWordThatFailsIsSaidAgain, with the transition: same id, same number.
func TestAWordThatFailsIsSaidAgain(t *testing.T) {
	c := newClouds(t)
	r := c.from("aws", "u", "")
	c.words.err = stream.Failures{{Index: 0, Err: errors.New("throttled")}}
	err := c.Handle(t.Context(), []stream.Record{r})
	if _, ok := errors.AsType[stream.Failures](err); err == nil || ok {
		t.Fatalf("passes on another stream's positions: %v", err)
	}
	c.words.err = nil
	c.handle(r)
	c.expect("+known u:u", "+known u:u")
	if a, b := c.actions.published[0], c.actions.published[1]; a.Id != b.Id || len(c.words.told) != 1 {
		t.Errorf("%v, then %v; told %d", a, b, len(c.words.told))
	}
}

// TestErasuresAreTold: what they took that the other cloud cannot know.
func TestErasuresAreTold(t *testing.T) {
	c := newClouds(t)
	c.handle(c.from("gcp", "u", "a"), c.from("aws", "", "a"))
	late := c.from("aws", "u", "")
	at := late.Time - 1
	c.handle(late)
	c.words.told = nil
	erase := c.encode(&event.Record{Project: "p", Key: "u:u", Origin: "gcp", ReceivedAt: at, Erase: true})
	for range 2 { // it comes again, should this batch not have come to its end
		c.handle(erase)
	}
	got := make(map[string]int64)
	for _, record := range c.words.told {
		r, err := event.Decode(record.Data)
		if err != nil || !r.Erase || r.Origin != "aws" || record.Key != r.Key || record.Project != "p" {
			t.Errorf("told %v, %v", r, err)
		}
		got[r.Key] = r.ReceivedAt
	}
	if want := map[string]int64{"u:u": late.Time, "a:a": late.Time}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
	c.words.told = nil
	c.handle(c.encode(&event.Record{Project: "p", Key: "u:v", Origin: "gcp", ReceivedAt: at, Erase: true}))
	if len(c.words.told) > 0 {
		t.Errorf("told of what the other knows: %v", c.words.told)
	}
	c.handle(late)
	c.words.err, c.now = errors.New("throttled"), c.now.Add(time.Second)
	if err := c.Handle(t.Context(), []stream.Record{c.encode(&event.Record{Project: "p", Key: "u:u", Origin: "gcp", ReceivedAt: at, Erase: true})}); err == nil {
		t.Error("the other cloud was not told, and the batch is done")
	}
}
