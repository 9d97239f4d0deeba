# hito's targets. `make` alone lists them.

GO       ?= go
TOOL     := $(GO) tool -modfile=tools.mod
FUZZTIME ?= 30s
SEEDS    ?= 10000
CLOUD    ?=
ARCH     ?= arm64
OUT      ?= dist

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve everything on 127.0.0.1:8080, data under .hito
	$(GO) run ./functions/hito run

.PHONY: test
test: ## Run every test
	$(GO) test -timeout 30m ./...

.PHONY: race
race: ## Run every test under the race detector, of slow emulators those that are not said twice
	$(GO) test -race -short -timeout 30m ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@GO="$(GO)" ./infra/fuzz/all.sh $(FUZZTIME)

.PHONY: sim
sim: ## Simulate SEEDS (10000) worlds full of faults
	$(GO) test ./functions/hito/sim -run TestSimulation -timeout 60m -seeds $(SEEDS)

.PHONY: bench
bench: ## Measure a fresh hito on this machine, and write docs/bench
	$(GO) run ./functions/hito bench --out docs/bench

.PHONY: package
package: ## Build the functions' zips under OUT (dist), held to their budget, for both clouds or CLOUD, on AWS for ARCH (arm64)
	@$(GO) run ./infra/pack -cloud "$(CLOUD)" -arch $(ARCH) -out $(OUT)

.PHONY: image
image: ## Build the functions' images for Google Cloud, and push them to KO_DOCKER_REPO (needs ko)
	@$(GO) run ./infra/pack -images

.PHONY: terraform-test
terraform-test: ## Test the Terraform code, and its plans against the policies (needs terraform)
	@./terraform/test.sh
	$(GO) test ./infra/terraformtest/...

.PHONY: acceptance-aws
acceptance-aws: ## Deploy to AWS emulators with Terraform, and drive what is deployed (needs Node.js, Java, Python with moto, terraform)
	$(GO) test -tags acceptance -run TestAWS -timeout 30m -count=1 -v ./functions/hito/acceptance

.PHONY: acceptance-gcp
acceptance-gcp: ## Plan Google Cloud with Terraform, and drive what is planned on Google's emulators (needs Node.js, gcloud's emulators, terraform)
	$(GO) test -tags acceptance -run TestGCP -timeout 30m -count=1 -v ./functions/hito/acceptance

.PHONY: check
check: ## Check form, style and what is generated
	@$(GO) mod download && $(GO) mod download -modfile=tools.mod
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')) || exit 1; \
	test -z "$$unformatted" || { echo "$$unformatted"; echo "run gofmt -w on these files"; exit 1; }
	@fixes=$$($(GO) fix -diff ./...) || { echo "$$fixes"; echo "run go fix ./..."; exit 1; }; \
	test -z "$$fixes" || { echo "$$fixes"; echo "run go fix ./..."; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./... && $(GO) vet -tags acceptance ./functions/hito/acceptance
	$(TOOL) staticcheck ./... && $(TOOL) staticcheck -tags acceptance ./functions/hito/acceptance
	$(TOOL) buf lint
	@$(TOOL) buf generate && git diff --exit-code -- '*.pb.go' || { echo "generated code is stale: run make generate and commit"; exit 1; }
	$(GO) run ./functions/hito check shared/project/sample/*.yaml

.PHONY: generate
generate: ## Generate Go from the .proto files
	$(TOOL) buf generate
