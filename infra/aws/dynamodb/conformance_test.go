package dynamodb

import (
	"testing"

	"github.com/hitolayer/hito/infra/aws/dynamodb/dynamodbtest"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/profile/storetest"
)

// client returns a client of the emulator, and the name of an empty table there.
func client(t testing.TB) (API, string) {
	t.Helper()
	endpoint := emulators.SharedDynamoDB(t)
	return NewClient(dynamodbtest.Config(endpoint), dynamodbtest.Options), dynamodbtest.Table(t, endpoint)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) profile.Store {
		api, name := client(t)
		return &Store{Client: api, Table: name}
	}, storetest.Features{MaxStateBytes: 8 << 20, MaxKeyBytes: 4096})
}
