package deployed

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/bigtable"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// plain dials an emulator.
func plain(host string) (*grpc.ClientConn, error) {
	return grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// CreateStreams creates the topics and subscriptions on the Pub/Sub emulator at a
// host and port. All subscriptions are to be pulled from, those that push or write
// to BigQuery too, and without a retry policy: see gcpfunctions.PushSubscription,
// which keeps it. It fails where the emulator would do something else than Google
// does, and at a topic that a plan does not know.
func (d *Deployment) CreateStreams(ctx context.Context, host string) error {
	subscriptions := make([]*pubsubpb.Subscription, len(d.Subscriptions))
	for i, s := range d.Subscriptions {
		var err error
		if subscriptions[i], err = s.emulated(); err != nil {
			return fmt.Errorf("create %s: %w", s.Address, err)
		}
	}
	conn, err := plain(host)
	if err != nil {
		return err
	}
	defer conn.Close()
	client, err := pubsub.NewClient(ctx, "any", option.WithGRPCConn(conn))
	if err != nil {
		return err
	}
	for _, t := range d.Topics {
		if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: t.Name}); err != nil {
			return fmt.Errorf("create %s: %w", t.Address, err)
		}
	}
	for i, s := range subscriptions {
		if _, err := client.SubscriptionAdminClient.CreateSubscription(ctx, s); err != nil {
			return fmt.Errorf("create %s: %w", d.Subscriptions[i].Address, err)
		}
	}
	return nil
}

// emulated is what the emulator is asked for.
func (s *Subscription) emulated() (*pubsubpb.Subscription, error) {
	if s.Topic == "" {
		return nil, errors.New("a plan does not know its topic")
	}
	if s.Filter != "" {
		return nil, errors.New("the emulator ignores filters")
	}
	in := &pubsubpb.Subscription{Name: s.Name, Topic: s.Topic, AckDeadlineSeconds: int32(s.AckDeadline.Seconds()), EnableMessageOrdering: s.Ordered}
	if s.DeadLetter != nil {
		if s.DeadLetter.Topic == "" {
			return nil, errors.New("a plan does not know its dead-letter topic")
		}
		in.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: s.DeadLetter.Topic, MaxDeliveryAttempts: int32(s.DeadLetter.Attempts)}
	}
	return in, nil
}

// CreateTables creates the tables on the Bigtable emulator at a host and port, with
// their families.
func (d *Deployment) CreateTables(ctx context.Context, host string) error {
	conn, err := plain(host)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, t := range d.Tables {
		if err := t.create(ctx, conn); err != nil {
			return fmt.Errorf("create %s: %w", t.Address, err)
		}
	}
	return nil
}

func (t *Table) create(ctx context.Context, conn *grpc.ClientConn) error {
	admin, err := bigtable.NewAdminClient(ctx, t.Project, t.Instance, option.WithGRPCConn(conn))
	if err != nil {
		return err
	}
	families := make(map[string]bigtable.Family, len(t.Families))
	for name, f := range t.Families {
		if families[name], err = f.Bigtable(); err != nil {
			return fmt.Errorf("family %s: %w", name, err)
		}
	}
	return admin.CreateTableFromConf(ctx, &bigtable.TableConf{TableID: t.Name, ColumnFamilies: families})
}

// Bigtable returns the family as Bigtable's client has it, or an error for a type
// that is not read here.
func (f Family) Bigtable() (bigtable.Family, error) {
	out := bigtable.Family{GCPolicy: f.policy()}
	switch f.Type {
	case "":
	case "intsum":
		out.ValueType = bigtable.AggregateType{Input: bigtable.Int64Type{}, Aggregator: bigtable.SumAggregator{}}
	default:
		return out, fmt.Errorf("the type %q is not read here", f.Type)
	}
	return out, nil
}

func (f Family) policy() bigtable.GCPolicy {
	age, versions := bigtable.MaxAgePolicy(f.Age), bigtable.MaxVersionsPolicy(f.Versions)
	switch {
	case f.Age == 0 && f.Versions == 0:
		return bigtable.NoGcPolicy()
	case f.Age == 0:
		return versions
	case f.Versions == 0:
		return age
	case f.Intersection:
		return bigtable.IntersectionPolicy(age, versions)
	}
	return bigtable.UnionPolicy(age, versions)
}
