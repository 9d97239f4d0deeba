package kinesis

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/shared/stream"
)

// takesAll takes everything and does nothing.
type takesAll struct{}

var taken = types.PutRecordsResultEntry{SequenceNumber: sdk.String("1"), ShardId: sdk.String("shardId-000000000000")}

func (takesAll) PutRecords(_ context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	out := &kinesis.PutRecordsOutput{Records: make([]types.PutRecordsResultEntry, len(in.Records))}
	for i := range out.Records {
		out.Records[i] = taken
	}
	return out, nil
}

// answers answers every request as Kinesis does, at once.
type answers struct{}

func (answers) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	one := `{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ShardId":"shardId-000000000000"}`
	n := strings.Count(string(body), `"PartitionKey"`)
	text := `{"FailedRecordCount":0,"Records":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}`
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// cpu returns the processor time the process used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPublish measures CPU per record of about 700 bytes, packing
// included; with SDK also what the client does, the network aside.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		records := make([]stream.Record, n)
		for i := range records {
			data := fmt.Sprintf(`{"messageId":"%08x-0000-4000-8000-000000000000","type":"track","event":"Product Viewed","anonymousId":"a%d","properties":{"sku":"sku-%d","price":%d.5,"currency":"JPY","name":"A very nice product number %d"},"context":{"page":{"url":"https://shop.example/products/%d?from=list","referrer":"https://shop.example/list","title":"Products"},"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36","locale":"ja-JP"},"receivedAt":"2026-11-01T00:00:00.%03dZ"}`,
				i*2654435761, i, i%97, i%1000, i, i, i%1000)
			records[i] = stream.Record{Project: "shop", Key: fmt.Sprint("a:", i), Events: 1, Time: 1_700_000_000_000 + int64(i), Data: []byte(data)}
		}
		for name, p := range map[string]*Publisher{
			"Together":   {Client: takesAll{}, Stream: "raw", Together: true},
			"Partitions": {Client: takesAll{}, Stream: "raw"},
			"TogetherSDK": {Stream: "raw", Together: true, Client: kinesis.New(kinesis.Options{
				Region: "eu-west-1", HTTPClient: answers{}, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
			})},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				began := cpu()
				for b.Loop() {
					if err := p.Publish(b.Context(), records); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N*n), "CPU-ns/record")
			})
		}
	}
}
