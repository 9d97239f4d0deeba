package gcp

import (
	_ "github.com/GoogleCloudPlatform/functions-framework-go/funcframework" // what the modules made here link
)
