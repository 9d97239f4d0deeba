// Package firestore keeps what hito knows in one database of Google's Firestore,
// in native mode: what Bigtable keeps, where there is too little to do for it.
//
// A document's name begins with four hexadecimal digits of a hash of what it is
// about, so that neighbours in time or name do not meet in one place, and a part
// of everybody is a range of names. Nothing is asked for but by name: no field
// needs an index.
package firestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	api "cloud.google.com/go/firestore/apiv1"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hitolayer/hito/infra/backoff"
)

// Database is a database, and the client that reaches it.
type Database struct {
	client *api.Client
	name   string
}

// Open makes the client of a database, projects/P/databases/D, or of the emulator
// that FIRESTORE_EMULATOR_HOST names. Nothing is called yet.
func Open(ctx context.Context, name string, opts ...option.ClientOption) (*Database, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "projects" || parts[1] == "" || parts[2] != "databases" || parts[3] == "" {
		return nil, fmt.Errorf("firestore: %q is no projects/P/databases/D", name)
	}
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		conn, err := dial(host)
		if err != nil {
			return nil, fmt.Errorf("dial the emulator at %s: %w", host, err)
		}
		opts = append([]option.ClientOption{option.WithGRPCConn(conn)}, opts...)
	}
	client, err := api.NewClient(ctx, opts...)
	if err != nil {
		return nil, err
	}
	client.CallOptions = &api.CallOptions{} // what to repeat, and when, is decided here
	return &Database{client: client, name: name}, nil
}

// dial connects to the emulator.
func dial(host string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(host, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(owner{}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))...)
}

// owner is whom the emulator lets do all, as Google's own client says.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

// Close ends the connection.
func (d *Database) Close() error { return d.client.Close() }

// document returns the name of a document.
func (d *Database) document(collection, id string) string {
	return d.name + "/documents/" + collection + "/" + id
}

// headers says which database a call is for, as Google's own client does.
// https://github.com/googleapis/google-cloud-go/blob/main/firestore/client.go
func (d *Database) headers(ctx context.Context) context.Context {
	parts := strings.Split(d.name, "/")
	return metadata.AppendToOutgoingContext(ctx, "google-cloud-resource-prefix", d.name,
		"x-goog-request-params", "project_id="+url.QueryEscape(parts[1])+"&database_id="+url.QueryEscape(parts[3]))
}

const (
	// maxWrites is how many documents one call writes, and maxBytes about how much:
	// a request has at most 10 MiB.
	// https://cloud.google.com/firestore/quotas
	maxWrites = 200
	maxBytes  = 6 << 20
	// maxReads is how many documents one call reads.
	maxReads = 300
	// maxValue is how much of one value a document can hold beside its name and the
	// rest: a document has at most 1 MiB.
	maxValue = 1<<20 - 8<<10
	// attemptTime bounds one attempt of a call.
	attemptTime = 10 * time.Second
)

// again says whether a call may succeed in another attempt. All but what was
// refused may have been done all the same.
func again(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Internal:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// between is the wait between the attempts of a call. Who met others at one
// document meets them once more who waits less.
var between = backoff.Backoff{Base: 20 * time.Millisecond, Most: 2 * time.Second}

// do calls until it is done, or can not be.
func (d *Database) do(ctx context.Context, call func(context.Context) error) error {
	for failed := 1; ; failed++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		attempt, cancel := context.WithTimeout(d.headers(ctx), attemptTime)
		err := call(attempt)
		cancel()
		if err == nil || !again(err) || ctx.Err() != nil {
			return err
		}
		if code := status.Code(err); failed == 1 && code != codes.Aborted && code != codes.ResourceExhausted {
			continue // what broke was most likely a connection
		}
		if end := between.Wait(ctx, failed); end != nil {
			return fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}

// get reads documents, only the fields in mask if there are any. Those that do
// not exist are nil.
func (d *Database) get(ctx context.Context, names []string, mask ...string) (map[string]*pb.Document, error) {
	docs := make(map[string]*pb.Document, len(names))
	for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(names))), maxReads) {
		if err := d.do(ctx, func(ctx context.Context) error {
			some = slices.DeleteFunc(some, func(name string) bool { _, ok := docs[name]; return ok })
			req := &pb.BatchGetDocumentsRequest{Database: d.name, Documents: some}
			if len(mask) > 0 {
				req.Mask = &pb.DocumentMask{FieldPaths: mask}
			}
			answers, err := d.client.BatchGetDocuments(ctx, req)
			for n := 0; err == nil; n++ {
				var r *pb.BatchGetDocumentsResponse
				if r, err = answers.Recv(); err == io.EOF && n >= len(some) {
					return nil
				}
				if doc := r.GetFound(); doc != nil {
					docs[doc.Name] = doc
				} else if name := r.GetMissing(); name != "" {
					docs[name] = nil
				}
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// list reads up to n documents of a collection whose ids are above after and
// below to, in order. An empty one is no bound.
func (d *Database) list(ctx context.Context, collection, after, to string, n int) ([]*pb.Document, error) {
	name := &pb.StructuredQuery_FieldReference{FieldPath: "__name__"}
	var filters []*pb.StructuredQuery_Filter
	bound := func(op pb.StructuredQuery_FieldFilter_Operator, id string) {
		if id != "" {
			filters = append(filters, &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
				Field: name, Op: op, Value: &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: d.document(collection, id)}},
			}}})
		}
	}
	bound(pb.StructuredQuery_FieldFilter_GREATER_THAN, after)
	bound(pb.StructuredQuery_FieldFilter_LESS_THAN, to)
	q := &pb.StructuredQuery{
		From:    []*pb.StructuredQuery_CollectionSelector{{CollectionId: collection}},
		OrderBy: []*pb.StructuredQuery_Order{{Field: name, Direction: pb.StructuredQuery_ASCENDING}},
		Limit:   wrapperspb.Int32(int32(min(n, math.MaxInt32))),
	}
	if len(filters) > 0 {
		q.Where = &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: &pb.StructuredQuery_CompositeFilter{
			Op: pb.StructuredQuery_CompositeFilter_AND, Filters: filters,
		}}}
	}
	var docs []*pb.Document
	err := d.do(ctx, func(ctx context.Context) error {
		docs = nil
		answers, err := d.client.RunQuery(ctx, &pb.RunQueryRequest{Parent: d.name + "/documents", QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}})
		for err == nil {
			var r *pb.RunQueryResponse
			if r, err = answers.Recv(); err == io.EOF {
				return nil
			}
			if doc := r.GetDocument(); doc != nil {
				docs = append(docs, doc)
			}
		}
		return err
	})
	return docs, err
}

func number(n int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
}

func blob(b []byte) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_BytesValue{BytesValue: b}}
}

func moment(t time.Time) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(t)}}
}
