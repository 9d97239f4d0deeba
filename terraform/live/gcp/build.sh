#!/usr/bin/env bash
# Has an image built of a function's package, and waits for it. Terraform runs it: see build.tf. BUILD is the body of
# https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.builds/submit, PARENT is projects/P/locations/R.
set -euo pipefail

fail() { echo "build: $*" >&2; exit 1; }

for program in gcloud curl; do
	command -v "$program" >/dev/null || fail "$program is missing; or build images elsewhere, and say which in functions"
done
token=$(gcloud auth print-access-token) || fail "gcloud is not logged in: gcloud auth login"

# The token comes by standard input: everybody sees arguments.
call() { curl --silent --show-error --fail-with-body --retry 3 --max-time 60 --header @- "$@" <<<"Authorization: Bearer $token"; }

answer=$(call --header "Content-Type: application/json" --data "$BUILD" "https://run.googleapis.com/v2/$PARENT/builds:submit") || fail "$answer"
operation=$(grep -o '"operations/[^"]*"' <<<"$answer" | head -n 1 | tr -d '"') || fail "no operation in $answer"

for ((i = 0; i < 240; i++)); do
	answer=$(call "https://cloudbuild.googleapis.com/v1/$operation?fields=done,error") || fail "$answer"
	case $answer in
	*'"error"'*) fail "$operation: $answer" ;;
	*'"done": true'*) exit ;;
	esac
	sleep 5
done
fail "$operation takes longer than 20 minutes"
