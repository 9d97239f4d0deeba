package beacon

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
)

// Grouping by hash must do what the obvious way does.
func TestGroupingIsTheObvious(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var body strings.Builder
		body.WriteString(`{"batch":[{"type":"page","userId":"first","messageId":"first"}`)
		keys, order := []string{"u:first"}, map[string][]string{"u:first": {"first"}}
		seen := map[string]bool{"u:first first": true}
		repeated, unfit := 0, 0
		for i := range rapid.IntRange(0, 100).Draw(t, "n") {
			visitor := rapid.IntRange(0, 12).Draw(t, "visitor")
			id := fmt.Sprintf("m%d", rapid.IntRange(0, 40).Draw(t, "id"))
			if visitor == 0 {
				fmt.Fprintf(&body, `,{"type":"page","messageId":"%s-%d"}`, id, i)
				unfit++
				continue
			}
			field, key := "userId", fmt.Sprintf("u:v%d", visitor)
			if visitor%2 == 0 {
				field, key = "anonymousId", fmt.Sprintf("a:v%d", visitor)
			}
			fmt.Fprintf(&body, `,{"type":"page","%s":"v%d","messageId":"%s"}`, field, visitor, id)
			if order[key] == nil {
				keys = append(keys, key)
			}
			order[key] = append(order[key], id)
			if seen[key+" "+id] {
				repeated++
			}
			seen[key+" "+id] = true
		}
		c := new(capture)
		if res := do(c.handler(), "POST", "/v1/batch", body.String()+`]}`, "Authorization", basic); res.StatusCode != 200 {
			t.Fatal(res.StatusCode)
		}
		var gotKeys []string
		for _, r := range c.records {
			record, err := event.Decode(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range record.Events {
				ids = append(ids, e.MessageId)
			}
			if gotKeys = append(gotKeys, r.Key); !slices.Equal(ids, order[r.Key]) {
				t.Fatalf("%s: %v, want %v", r.Key, ids, order[r.Key])
			}
		}
		if !slices.Equal(gotKeys, keys) || len(c.entries) != unfit || c.metrics["beacon.events_duplicate"] != float64(repeated) {
			t.Fatalf("keys %v, want %v; %d unfit, want %d; %v repeated, want %d", gotKeys, keys, len(c.entries), unfit, c.metrics["beacon.events_duplicate"], repeated)
		}
	})
}
