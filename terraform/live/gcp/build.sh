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
# The operation's metadata is of Cloud Build, whose builds are in a region: there, and not at the operation, it is asked.
# https://cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.builds/get
build=$(grep -oE '"id": *"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"' <<<"$answer" | head -n 1 | cut -d '"' -f 4) || true
[ -n "$build" ] || fail "no build in $answer"

for ((i = 0; i < 240; i++)); do
	answer=$(call "https://cloudbuild.googleapis.com/v1/$PARENT/builds/$build?fields=status,statusDetail,logUrl") || fail "$answer"
	case $(tr -d ' \n' <<<"$answer") in
	*'"status":"SUCCESS"'*) exit ;;
	*'"status":"QUEUED"'* | *'"status":"WORKING"'* | *'"status":"PENDING"'*) ;;
	*) fail "$build: $answer" ;;
	esac
	sleep "${WAIT:-5}"
done
fail "$build takes longer than 20 minutes"
