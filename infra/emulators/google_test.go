package emulators

import (
	"testing"

	"cloud.google.com/go/bigtable"
	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// plain dials an emulator.
func plain(t *testing.T, host string) option.ClientOption {
	t.Helper()
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return option.WithGRPCConn(conn)
}

func TestPubSub(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client, err := pubsub.NewClient(ctx, "project", plain(t, PubSub(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: "projects/project/topics/raw"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name: "projects/project/subscriptions/raw", Topic: "projects/project/topics/raw",
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Publisher("raw").Publish(ctx, &pubsub.Message{Data: []byte("first")}).Get(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := client.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: "projects/project/subscriptions/raw", MaxMessages: 1})
	if err != nil || len(got.ReceivedMessages) != 1 || string(got.ReceivedMessages[0].Message.Data) != "first" {
		t.Errorf("pulled %v, %v", got, err)
	}
}

func TestBigtable(t *testing.T) {
	t.Parallel()
	ctx, host := t.Context(), Bigtable(t)
	admin, err := bigtable.NewAdminClient(ctx, "project", "instance", plain(t, host))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTableFromConf(ctx, &bigtable.TableConf{TableID: "t", Families: map[string]bigtable.GCPolicy{"f": bigtable.MaxVersionsPolicy(1)}}); err != nil {
		t.Fatal(err)
	}
	client, err := bigtable.NewClientWithConfig(ctx, "project", "instance", bigtable.ClientConfig{MetricsProvider: bigtable.NoopMetricsProvider{}}, plain(t, host))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m := bigtable.NewMutation()
	m.Set("f", "v", 1000, []byte("first"))
	if err := client.Open("t").Apply(ctx, "row", m); err != nil {
		t.Fatal(err)
	}
	row, err := client.Open("t").ReadRow(ctx, "row")
	if err != nil || len(row["f"]) != 1 || string(row["f"][0].Value) != "first" {
		t.Errorf("read %v, %v", row, err)
	}
}

func TestFirestore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client, err := firestore.NewClient(ctx, plain(t, Firestore(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const name = "projects/project/databases/d/documents/c/first"
	if _, err := client.Commit(ctx, &firestorepb.CommitRequest{Database: "projects/project/databases/d", Writes: []*firestorepb.Write{
		{Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{Name: name}}},
	}}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.GetDocument(ctx, &firestorepb.GetDocumentRequest{Name: name}); err != nil || got.Name != name {
		t.Errorf("read %v, %v", got, err)
	}
}
