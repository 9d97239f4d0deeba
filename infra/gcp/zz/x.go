// Package zz holds dependencies until they are used.
package zz

import (
	_ "cloud.google.com/go/bigtable"
	_ "cloud.google.com/go/bigtable/bttest"
	_ "cloud.google.com/go/firestore"
	_ "cloud.google.com/go/pubsub/v2"
	_ "cloud.google.com/go/pubsub/v2/pstest"
	_ "github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	_ "github.com/GoogleCloudPlatform/functions-framework-go/functions"
	_ "golang.org/x/oauth2/google"
	_ "google.golang.org/api/idtoken"
	_ "google.golang.org/api/secretmanager/v1"
	_ "google.golang.org/api/storage/v1"
	_ "google.golang.org/grpc"
)
