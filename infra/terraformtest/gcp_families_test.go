package terraformtest

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/emulators/gcpfunctions/deployed"
	"github.com/hitolayer/hito/infra/gcp/bigtable"
)

// sameFamilies: the table that a plan makes has the families that the code reads
// and writes, and Bigtable removes of them what the code says it may.
func sameFamilies(t *testing.T, shown []byte) {
	d, err := deployed.Read(bytes.NewReader(shown))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range otherFamilies(d) {
		t.Error(problem)
	}
}

// otherFamilies returns how the tables of a deployment differ from the code's.
func otherFamilies(d *deployed.Deployment) []string {
	var found []string
	refuse := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if len(d.Tables) != 1 {
		refuse("%d tables, and not one", len(d.Tables))
	}
	for _, table := range d.Tables {
		code := bigtable.Schema()
		for _, name := range slices.Sorted(maps.Keys(table.Families)) {
			got, err := table.Families[name].Bigtable()
			want, known := code[name]
			switch delete(code, name); {
			case err != nil:
				refuse("%s: family %s: %v", table.Address, name, err)
			case !known:
				refuse("%s: nothing is in the family %s", table.Address, name)
			case !reflect.DeepEqual(got, want):
				refuse("%s: family %s is %T, of which is removed %q; the code has %T and %q", table.Address, name, got.ValueType, got.GCPolicy, want.ValueType, want.GCPolicy)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(code)) {
			refuse("%s: lacks the family %s", table.Address, name)
		}
	}
	return found
}

// TestOtherFamilies plants families that are not the code's.
func TestOtherFamilies(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		plant   func(d *deployed.Deployment, families map[string]deployed.Family)
		refused bool
	}{
		"the code's":     {plant: func(*deployed.Deployment, map[string]deployed.Family) {}},
		"no table":       {plant: func(d *deployed.Deployment, _ map[string]deployed.Family) { d.Tables = nil }, refused: true},
		"a table more":   {plant: func(d *deployed.Deployment, _ map[string]deployed.Family) { d.Tables = append(d.Tables, d.Tables[0]) }, refused: true},
		"one less":       {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { delete(f, "q") }, refused: true},
		"one more":       {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { f["x"] = deployed.Family{} }, refused: true},
		"bytes for sums": {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { f["l"] = deployed.Family{} }, refused: true},
		"sums for bytes": {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) {
			f["s"] = deployed.Family{Type: "intsum", Age: 40 * day}
		}, refused: true},
		"another type": {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { f["l"] = deployed.Family{Type: "inthll"} }, refused: true},
		"sums that are removed": {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) {
			f["l"] = deployed.Family{Type: "intsum", Age: 40 * day}
		}, refused: true},
		"ids for less":  {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { f["s"] = deployed.Family{Age: 31 * day} }, refused: true},
		"ids for ever":  {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { f["s"] = deployed.Family{} }, refused: true},
		"more versions": {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) { f["f"] = deployed.Family{Versions: 2} }, refused: true},
		"versions that expire": {plant: func(_ *deployed.Deployment, f map[string]deployed.Family) {
			f["f"] = deployed.Family{Versions: 1, Age: day}
		}, refused: true},
	} {
		families := map[string]deployed.Family{"f": {Versions: 1}, "l": {Type: "intsum"}, "s": {Age: 40 * day}, "q": {Age: 30 * day}}
		d := &deployed.Deployment{Tables: []deployed.Table{{Address: "module.table[0].google_bigtable_table.this", Families: families}}}
		c.plant(d, families)
		if found := otherFamilies(d); (len(found) > 0) != c.refused {
			t.Errorf("%s: %q", name, found)
		}
	}
}
