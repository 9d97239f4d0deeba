package main

import (
	"testing"

	"github.com/hitolayer/hito/functions/hito/e2e"
)

// target is the child, for the tests that every hito must pass.
func (c *child) target() e2e.Target {
	return e2e.Target{URL: c.url, WriteKey: "demo", SecretKey: "demo-secret", Binary: "hito"}
}

func TestAccessLog(t *testing.T) { e2e.AccessLog(t, start(t, t.TempDir()).target()) }

func TestSDKs(t *testing.T) { e2e.SDKs(t, start(t, t.TempDir()).target()) }
