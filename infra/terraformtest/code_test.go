package terraformtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestCode: modules and installs read nothing that they do not manage, and get
// no provider and no module but those that were tried.
func TestCode(t *testing.T) {
	for _, pattern := range []string{"modules/*/*", "live/*"} {
		folders, err := filepath.Glob(filepath.Join(repository(t), "terraform", pattern))
		if err != nil || len(folders) < 2 {
			t.Fatalf("%s: %v, %v", pattern, folders, err)
		}
		for _, folder := range folders {
			files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: no code, %v", folder, err)
			}
			var code []byte
			for _, file := range files {
				if filepath.Base(file) == "backend.tf" { // a contributor's own
					continue
				}
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				code = append(append(code, text...), '\n')
			}
			for _, problem := range refused(code, strings.HasPrefix(pattern, "modules")) {
				t.Errorf("%s: %s", folder, problem)
			}
		}
	}
}

// refused returns what must not be in the code of a folder.
func refused(code []byte, module bool) []string {
	file, diags := hclparse.NewParser().ParseHCL(code, "all.tf")
	if diags.HasErrors() {
		return []string{diags.Error()}
	}
	var found []string
	refuse := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	pinned, used := map[string]bool{}, map[string]bool{}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		switch b.Type {
		case "data":
			refuse("data source %s: a plan needs no rights but to read what it manages", strings.Join(b.Labels, "."))
		case "resource", "ephemeral":
			name, _, _ := strings.Cut(b.Labels[0], "_")
			used[name] = true
		case "provider":
			if module {
				refuse("provider %s: a module takes its caller's", b.Labels[0])
			}
		case "module":
			if from := text(b.Body.Attributes["source"]); !strings.HasPrefix(from, "../../modules/") && (module || from != "../aws" && from != "../gcp") {
				refuse("module %s is from %q, which may change", b.Labels[0], from)
			}
		case "terraform":
			if v := text(b.Body.Attributes["required_version"]); !bounded(v) {
				refuse("Terraform is of any version: %q", v)
			}
			for _, inner := range b.Body.Blocks {
				if inner.Type != "required_providers" {
					refuse("%s is for each install to say", inner.Type)
					continue
				}
				for name, a := range inner.Body.Attributes {
					v, diags := a.Expr.Value(nil)
					if diags.HasErrors() || !v.Type().IsObjectType() || !v.Type().HasAttribute("source") || !v.Type().HasAttribute("version") {
						refuse("provider %s has no source, or no version", name)
						continue
					}
					if from, version := v.GetAttr("source").AsString(), v.GetAttr("version").AsString(); from != "hashicorp/"+name || !bounded(version) {
						refuse("provider %s is %s of any version: %q", name, from, version)
					}
					pinned[name] = true
				}
			}
		}
	}
	delete(used, "terraform") // it has a resource of its own
	for name := range used {
		if !pinned[name] {
			refuse("provider %s is of any version", name)
		}
	}
	return found
}

// text returns a literal.
func text(a *hclsyntax.Attribute) string {
	if a == nil {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		return ""
	}
	return v.AsString()
}

// bounded reports whether a constraint has a least version, and ends before the
// next that may break what works.
func bounded(constraint string) bool {
	return strings.HasPrefix(constraint, ">= ") && strings.Contains(constraint, ", < ")
}

// TestCodeRefused plants what must not be in code.
func TestCodeRefused(t *testing.T) {
	const versions = `
		terraform {
		  required_version = ">= 1.11.0, < 2.0.0"
		  required_providers {
		    google = {
		      source  = "hashicorp/google"
		      version = ">= 7.0.0, < 8.0.0"
		    }
		  }
		}
	`
	for name, c := range map[string]struct {
		code     string
		from, to string
		module   bool
		refused  bool
	}{
		"good":                 {code: `resource "google_pubsub_topic" "a" {}` + "\n" + `resource "terraform_data" "a" {}`, module: true},
		"a good install":       {code: `provider "google" {}` + "\n" + `module "a" { source = "../../modules/gcp/bucket" }`},
		"a data source":        {code: `data "google_project" "a" {}`, refused: true},
		"a module's provider":  {code: `provider "google" {}`, module: true, refused: true},
		"an install of two":    {code: `module "a" { source = "../aws" }`},
		"a module's install":   {code: `module "a" { source = "../aws" }`, module: true, refused: true},
		"a registry's module":  {code: `module "a" { source = "terraform-google-modules/network/google" }`, refused: true},
		"any Terraform":        {from: `required_version = ">= 1.11.0, < 2.0.0"`, refused: true},
		"newer Terraforms":     {from: `">= 1.11.0, < 2.0.0"`, to: `">= 1.11.0"`, refused: true},
		"any provider":         {from: `version = ">= 7.0.0, < 8.0.0"`, refused: true},
		"newer providers":      {from: `">= 7.0.0, < 8.0.0"`, to: `">= 7.0.0"`, refused: true},
		"somebody's provider":  {from: "hashicorp/google", to: "somebody/google", refused: true},
		"an untold provider":   {code: `resource "aws_sqs_queue" "a" {}`, refused: true},
		"somebody's own state": {from: "required_providers {", to: "backend \"gcs\" {}\nrequired_providers {", refused: true},
		"what is no code":      {code: `resource {`, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			all := strings.Replace(versions, c.from, c.to, 1)
			if c.from != "" && all == versions {
				t.Fatal("nothing is changed")
			}
			if found := refused([]byte(all+c.code), c.module); (len(found) > 0) != c.refused {
				t.Errorf("found is %q", found)
			}
		})
	}
}
