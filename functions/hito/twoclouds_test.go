package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/functions/enrich"
	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/infra/local"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/failover"
	"github.com/hitolayer/hito/shared/telemetry"
)

// sliceStream is a stream as a slice.
type sliceStream struct {
	name    string
	records []stream.Record
}

func (s *sliceStream) Publish(_ context.Context, records []stream.Record) error {
	for _, r := range records {
		r.Data = slices.Clone(r.Data)
		r.ID = fmt.Sprint(s.name, "-", len(s.records))
		s.records = append(s.records, r)
	}
	return nil
}

// unheard makes everything durable, and nobody hears of it in time.
type unheard struct{ stream.Publisher }

func (u unheard) Publish(ctx context.Context, records []stream.Record) error {
	err := u.Publisher.Publish(ctx, records)
	<-ctx.Done()
	return errors.Join(err, ctx.Err())
}

// onceLedger books each record's outcome once, as those who commit for the clouds' functions do.
type onceLedger struct {
	ledger.Totals
	booked map[string]bool
}

func (l *onceLedger) Record(_ context.Context, deltas []ledger.Delta) error {
	for _, d := range deltas {
		if d.Source == "" || !l.booked[d.Source] {
			l.Add(d.Whole())
		}
		l.booked[d.Source] = true
	}
	return nil
}

type refuses struct{}

func (refuses) Publish(context.Context, []stream.Record) error { return errors.New("away") }

type oneProject struct{}

func (oneProject) ByWriteKey(string) (*project.Project, bool) {
	return &project.Project{Name: "shop"}, true
}
func (oneProject) BySecretKey(string) (*project.Project, bool) { return nil, false }

type noRules struct{}

func (noRules) Extract(_ *event.Event, into []profile.Contribution) []profile.Contribution {
	return into
}

func (noRules) Standings(_ *profile.Person, _ time.Time, into []profile.Standing) []profile.Standing {
	return into
}

// TestWhatRacedIntoBothCloudsCountsOnce: of a visitor's events one cloud has some,
// the other some, and both have those whose answer came too late. In both clouds
// the profile has each once, in whatever order they came, and each ledger balances.
func TestWhatRacedIntoBothCloudsCountsOnce(t *testing.T) {
	names := []string{"aws", "gcp"}
	raw := []*sliceStream{{name: "aws-raw"}, {name: "gcp-raw"}}
	minted := 0
	send := func(p stream.Publisher, ids ...string) {
		t.Helper()
		h := beacon.Handler{
			Projects: oneProject{}, Raw: p, Origin: "aws", Now: time.Now,
			NewID: func() string { minted++; return fmt.Sprint("minted", minted) },
		}
		var body strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&body, `,{"type":"track","event":"Viewed","userId":"u1","messageId":%q}`, id)
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest("POST", "/v1/batch?writeKey=demo", strings.NewReader(`{"batch":[`+body.String()[1:]+`]}`)))
		if answer.Code != 200 {
			t.Fatalf("%s: %s", ids, answer.Body)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	send(&failover.Publisher{Own: raw[0], Other: raw[1], Log: quiet}, "own1", "own2")
	send(&failover.Publisher{Own: refuses{}, Other: raw[1], Log: quiet}, "other1")
	send(&failover.Publisher{Own: unheard{raw[0]}, Other: raw[1], Hedge: time.Millisecond, Log: quiet}, "both1", "both2", "both3")
	if len(raw[0].records) != 2 || len(raw[1].records) != 2 {
		t.Fatalf("%d and %d records", len(raw[0].records), len(raw[1].records))
	}
	accepted := []int64{5, 4}

	for name, order := range map[string]func(own, foreign []stream.Record) []stream.Record{
		"own first":     func(own, foreign []stream.Record) []stream.Record { return slices.Concat(own, foreign) },
		"foreign first": func(own, foreign []stream.Record) []stream.Record { return slices.Concat(foreign, own) },
		"again and again": func(own, foreign []stream.Record) []stream.Record {
			return slices.Concat(foreign, foreign, own, foreign, own, own)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var enriched [2]*sliceStream
			var ledgers [2]*onceLedger
			for i, cloud := range names {
				ledgers[i], enriched[i] = &onceLedger{booked: map[string]bool{}}, &sliceStream{name: cloud + "-enriched"}
				h := enrich.Handler{Enriched: enriched[i], Origin: cloud, Ledger: ledgers[i]}
				if err := h.Handle(t.Context(), raw[i].records); err != nil {
					t.Fatal(err)
				}
			}
			for i, cloud := range names {
				db, err := local.Open(local.Options{Dir: t.TempDir(), Log: quiet})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := db.Close(context.WithoutCancel(t.Context())); err != nil {
						t.Error(err)
					}
				})
				h := score.Handler{
					Store: db.Store(), Rules: func(string) score.Rules { return noRules{} }, Copies: true, Origin: cloud,
					Actions: &sliceStream{}, Ledger: ledgers[i], Telemetry: telemetry.Discard{}, Now: time.Now,
				}
				relayed := &sliceStream{name: cloud + "-relayed"} // under IDs of this cloud's stream
				if err := relayed.Publish(t.Context(), enriched[1-i].records); err != nil {
					t.Fatal(err)
				}
				for _, r := range order(enriched[i].records, relayed.records) {
					if err := h.Handle(t.Context(), []stream.Record{r}); err != nil {
						t.Fatal(err)
					}
				}
				p, err := profile.LoadPerson(t.Context(), db.Store(), profile.Key{Project: "shop", Visitor: "u:u1"})
				if err != nil || p.Events() != 6 {
					t.Errorf("%s: %d events in the profile, %v", cloud, p.Events(), err)
				}
				if l := ledgers[i]; l.Accepted != accepted[i] || l.InFlight != 0 || l.Scored+l.Duplicate != accepted[i] {
					t.Errorf("%s: the ledger has %+v", cloud, l.Totals)
				}
			}
		})
	}
}
