// Package dynamodbtest makes the table that package dynamodb works on, for tests.
package dynamodbtest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Config is what a client of an emulator at endpoint is made from.
func Config(endpoint string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// Options are an emulator's: DynamoDB Local's checksums are wrong.
func Options(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true }

// Table makes an empty table at endpoint, as the Terraform modules do, and
// returns its name. It stays there.
func Table(t testing.TB, endpoint string) string {
	t.Helper()
	client := dynamodb.NewFromConfig(Config(endpoint), Options)
	name := "hito-" + rand.Text()
	text := types.ScalarAttributeTypeS
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: new("pk"), AttributeType: text}, {AttributeName: new("q"), AttributeType: text}, {AttributeName: new("at"), AttributeType: text},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: new("pk"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  new("quarantine"),
			KeySchema:  []types.KeySchemaElement{{AttributeName: new("q"), KeyType: types.KeyTypeHash}, {AttributeName: new("at"), KeyType: types.KeyTypeRange}},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
	if err != nil {
		t.Fatalf("create table: %v", err)
	}
	if err := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond }).
		Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatalf("create table: %v", err)
	}
	if _, err := client.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: &name, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: new("ttl"), Enabled: new(true)},
	}); err != nil {
		t.Fatalf("enable time to live: %v", err)
	}
	return name
}
