package rules

import (
	"testing"

	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/project/sample"
)

func TestSampleIsGood(t *testing.T) {
	if _, err := Parse("shop.yaml", sample.File); err != nil {
		t.Fatalf("the sample project has problems:\n%v", err)
	}
	keys, err := project.ParseKeys("keys.yaml", sample.Keys)
	if err != nil {
		t.Fatal(err)
	}
	if k := keys[sample.Name]; len(k.Write) != 1 || k.Write[0] != "demo" || len(k.Secret) != 1 || k.Secret[0] != "demo-secret" {
		t.Fatalf("keys are %+v", keys)
	}
}
