package terraformtest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Schemas say by type of resource what it can be told.
type Schemas map[string]block

type block struct {
	Attributes map[string]struct {
		Required bool `json:"required"`
		Optional bool `json:"optional"`
	} `json:"attributes"`
	Blocks map[string]struct {
		Block block `json:"block"`
	} `json:"block_types"`
}

// ParseSchemas reads what `terraform providers schema -json` prints, of the
// provider whose address ends so. The form is documented at
// https://developer.hashicorp.com/terraform/cli/commands/providers/schema.
func ParseSchemas(data []byte, provider string) (Schemas, error) {
	var form struct {
		Providers map[string]struct {
			Resources map[string]struct {
				Block block `json:"block"`
			} `json:"resource_schemas"`
		} `json:"provider_schemas"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	for address, p := range form.Providers {
		if strings.HasSuffix(address, "/"+provider) {
			schemas := Schemas{}
			for name, r := range p.Resources {
				schemas[name] = r.Block
			}
			return schemas, nil
		}
	}
	return nil, fmt.Errorf("read schemas: no provider %s", provider)
}

// can reports whether an attribute of a name that match takes can be set, at
// whatever depth.
func (b block) can(match func(name string) bool) bool {
	for name, a := range b.Attributes {
		if (a.Required || a.Optional) && match(name) {
			return true
		}
	}
	for _, inner := range b.Blocks {
		if inner.Block.can(match) {
			return true
		}
	}
	return false
}
