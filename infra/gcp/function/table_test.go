package function

import (
	"errors"
	"testing"

	"github.com/hitolayer/hito/infra/gcp/bigtable"
	"github.com/hitolayer/hito/infra/gcp/firestore"
)

// TestOpenTable: the name says what it is of, and in which project.
func TestOpenTable(t *testing.T) {
	t.Setenv("BIGTABLE_EMULATOR_HOST", "127.0.0.1:1")
	t.Setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
	got, project, err := openTable(t.Context(), "projects/p/instances/i/tables/t", "")
	if _, ok := got.store.(*bigtable.Store); err != nil || !ok || project != "p" {
		t.Errorf("Bigtable's is %T in %q, %v", got.store, project, err)
	}
	got, project, err = openTable(t.Context(), "projects/q/databases/d", "")
	if _, ok := got.store.(*firestore.Store); err != nil || !ok || project != "q" {
		t.Errorf("Firestore's is %T in %q, %v", got.store, project, err)
	}
	for _, name := range []string{
		"", "t", "projects/p", "projects/p/instances/i", "projects/p/instances/i/tables/", "projects//instances/i/tables/t", "projects/p/instances/i/tables/t/more",
		"projects/p/databases/", "projects//databases/d", "projects/p/databases/d/documents", "project/p/databases/d",
	} {
		if _, _, err := openTable(t.Context(), name, ""); !errors.Is(err, errTable) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
