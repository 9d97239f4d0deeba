package pubsub

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	pubsubapi "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// TestMain makes the coders outside of any synctest bubble: they are shared.
func TestMain(m *testing.M) {
	packed, err := pack.Append(nil, []stream.Record{{Data: make([]byte, 4096)}})
	if err != nil {
		panic(err)
	}
	if _, err := pack.Open(packed); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

const topic = "projects/p/topics/raw"

// fake is Pub/Sub in memory, where the wire would begin, as strict as the real
// one about what it is asked.
type fake struct {
	// call decides about a request: nil takes it. With after, one that fails was
	// taken all the same.
	call func(n int, in *pubsubpb.PublishRequest) (err error, after bool)
	// short is how many answers lack a message.
	short int

	mu         sync.Mutex
	calls      int
	taken      []*pubsubpb.PubsubMessage
	refusedAsk error // what the real one would not have been asked
}

// client returns a client of it.
func (f *fake) client(t testing.TB) *pubsub.Client {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(f.intercept))
	if err != nil {
		t.Fatal(err)
	}
	topics, err := pubsubapi.NewTopicAdminClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := topics.Close(); err != nil {
			t.Error(err)
		}
	})
	return &pubsub.Client{TopicAdminClient: topics}
}

func (f *fake) intercept(ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
	in, ok := req.(*pubsubpb.PublishRequest)
	if !ok {
		return status.Error(codes.Unimplemented, method)
	}
	in = proto.CloneOf(in) // what the wire would carry
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls++
	f.check(ctx, in)
	var err error
	after := true
	if f.call != nil {
		err, after = f.call(n, in)
	}
	if err == nil || after {
		f.taken = append(f.taken, in.Messages...)
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	if err != nil {
		return err
	}
	out := reply.(*pubsubpb.PublishResponse)
	if f.short > 0 {
		f.short--
		in.Messages = in.Messages[1:]
	}
	for i := range in.Messages {
		out.MessageIds = append(out.MessageIds, fmt.Sprint(n, ".", i))
	}
	return nil
}

// check notes what of a request the real one would refuse.
func (f *fake) check(ctx context.Context, in *pubsubpb.PublishRequest) {
	wrong := func(format string, args ...any) { f.refusedAsk = fmt.Errorf(format, args...) }
	if in.Topic != topic {
		wrong("topic %q", in.Topic)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		wrong("a request without a deadline")
	}
	if n := len(in.Messages); n == 0 || n > 1000 {
		wrong("%d messages", n)
	}
	if size := proto.Size(in); size > 10_000_000 {
		wrong("a request of %d bytes", size)
	}
	for _, m := range in.Messages {
		if len(m.Data) == 0 && len(m.Attributes) == 0 {
			wrong("an empty message")
		}
	}
}

// messages returns what was taken, and what each carries.
func (f *fake) messages(t testing.TB) (all [][]stream.Record) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusedAsk != nil {
		t.Fatalf("Pub/Sub was asked what it does not do: %v", f.refusedAsk)
	}
	for _, m := range f.taken {
		all = append(all, open(t, m))
	}
	return all
}

// records returns the records that were taken.
func (f *fake) records(t testing.TB) []stream.Record {
	t.Helper()
	return slices.Concat(f.messages(t)...)
}

// open returns what a message carries, and checks what it says of itself.
func open(t testing.TB, m *pubsubpb.PubsubMessage) []stream.Record {
	t.Helper()
	records, err := message.Open(m.Data, m.Attributes, "1")
	if err != nil {
		t.Fatal(err)
	}
	partition := fmt.Sprintf("%03d", pack.Partition(records[0].Project, records[0].Key))
	if a := m.Attributes; a[message.ID] == "" || a[message.Key] != partition || a[message.Origin] != "gcp" || a[message.Schema] != "1" {
		t.Fatalf("attributes %v", a)
	}
	return records
}

// some returns records whose data is their number, and then noise that does not compress.
func some(n, size int) []stream.Record {
	noise := rand.NewChaCha8([32]byte{})
	records := make([]stream.Record, n)
	for i := range records {
		data := fmt.Appendf(nil, "%d:", i)
		if pad := size - len(data); pad > 0 {
			data = append(data, make([]byte, pad)...)
			_, _ = noise.Read(data[size-pad:]) // never fails
		}
		records[i] = stream.Record{Project: "shop", Key: fmt.Sprint("u:", i), Events: 1 + i%3, Time: int64(i), Data: data}
	}
	return records
}

func sameRecords(t *testing.T, got, want []stream.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records arrived of %d", len(got), len(want))
	}
	byTime := func(a, b stream.Record) int { return int(a.Time - b.Time) }
	got, want = slices.SortedFunc(slices.Values(got), byTime), slices.SortedFunc(slices.Values(want), byTime)
	for i := range got {
		if g, w := got[i], want[i]; g.Project != w.Project || g.Key != w.Key || g.Events != w.Events || g.Time != w.Time || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("record %d arrived as %s/%s %d %d, %d bytes", i, g.Project, g.Key, g.Events, g.Time, len(g.Data))
		}
	}
}
