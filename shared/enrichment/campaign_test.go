package enrichment

import (
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The HTTP interface's description names the click types that there are.
func TestClickTypesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas struct {
				Campaign struct {
					Properties struct {
						ClickType struct{ Enum []string } `yaml:"click_type"`
					}
				} `yaml:"Campaign"`
			}
		}
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, click := range clicks {
		want = append(want, click.param)
	}
	if got := doc.Components.Schemas.Campaign.Properties.ClickType.Enum; !slices.Equal(got, want) {
		t.Errorf("docs/openapi.yaml says %v, want %v", got, want)
	}
}
