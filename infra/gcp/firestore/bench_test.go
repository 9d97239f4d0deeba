package firestore

import (
	"testing"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/profile/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, &Store{Database: database(b, emulators.Firestore(b))})
}
