#!/usr/bin/env bash
# Tests all Terraform code: form, validity, and every module's and root's tests. Nothing
# is created anywhere, and no credentials are used. Arguments: only these folders.
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "terraform-test: $*" >&2; exit 1; }

command -v terraform >/dev/null ||
	fail "terraform is missing: install Terraform 1.11 or later (https://developer.hashicorp.com/terraform/install)"
version=$(terraform version | sed -n '1s/^Terraform v//p')
case $version in
0.* | 1.[0-9] | 1.[0-9].* | 1.10 | 1.10.*) fail "Terraform $version is too old: install 1.11 or later, which keeps secrets out of its state (https://developer.hashicorp.com/terraform/install)" ;;
esac

# Providers are large: fetched once, not once per module.
if [ -z "${TF_PLUGIN_CACHE_DIR:-}" ]; then
	export TF_PLUGIN_CACHE_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/hito/terraform-providers
fi
mkdir -p "$TF_PLUGIN_CACHE_DIR"
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1 TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1
export CLOUDSDK_CONFIG=$data/gcloud # nobody is logged in: see modules/gcp/observability/wait.sh
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_CA_BUNDLE TF_DATA_DIR "${!TF_VAR_@}" "${!TF_CLI_ARGS@}"

terraform fmt -check -diff -recursive . || fail "run terraform fmt -recursive terraform"

# README.md tells of every input and output of an install.
told() { awk -v of="$1" '/^## / { there = $0 ~ "^## (Inputs|Outputs) of " of "$" } there' README.md | sed -nE 's/^\| `([a-z_]+)` \|.*/\1/p' | sort; }
for root in live/*; do
	there=$(sed -nE 's/^(variable|output) "([a-z_]+)" \{$/\2/p' "$root"/*.tf | sort)
	diff <(told "$root") <(echo "$there") >&2 || fail "README.md tells of (<) other inputs and outputs than $root has (>)"
done

if [ $# -gt 0 ]; then folders=("$@"); else folders=(live/* modules/*/*); fi
# One at a time: they share the cache of providers.
for folder in "${folders[@]}"; do
	compgen -G "$folder/tests/*.tftest.hcl" >/dev/null || fail "$folder has no tests"
	if ! TF_DATA_DIR=$data/$folder terraform -chdir="$folder" init -backend=false -no-color >"$data/init" 2>&1; then
		cat "$data/init" >&2
		fail "$folder: terraform could not get its providers. It needs the network once, or a mirror (https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation)"
	fi
done

# As many at a time as there are processors: most of it is loading the provider.
one() {
	export TF_DATA_DIR=$data/$1
	local out=$data/$1/out
	if terraform -chdir="$1" validate -no-color >"$out" 2>&1 && terraform -chdir="$1" test -no-color >"$out" 2>&1; then
		echo "ok $1: $(tail -n 1 "$out")"
		return
	fi
	echo "FAILED $1"
	grep -v '\.\.\. pass$' "$out"
	return 1
}
export -f one
export data
printf '%s\0' "${folders[@]}" | xargs -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" bash -c 'one "$1"' terraform-test || fail "something failed: see above"
