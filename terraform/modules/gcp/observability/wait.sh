#!/usr/bin/env bash
# Waits until Cloud Monitoring knows a metric that was just defined, which takes minutes, and without which it refuses an
# SLO. Terraform runs it: see main.tf. METRIC is projects/P/metricDescriptors/TYPE. Without gcloud and curl it only says so.
set -euo pipefail

for program in gcloud curl; do
	command -v "$program" >/dev/null || { echo "wait: $program is missing: should the SLO be refused, apply again in some minutes" >&2; exit; }
done
token=$(gcloud auth print-access-token) || { echo "wait: gcloud is not logged in: should the SLO be refused, apply again in some minutes" >&2; exit; }

for ((i = 0; i < 90; i++)); do
	# The token comes by standard input: everybody sees arguments.
	status=$(curl --silent --output /dev/null --write-out '%{http_code}' --retry 3 --max-time 30 --header @- \
		"https://monitoring.googleapis.com/v3/$METRIC" <<<"Authorization: Bearer $token") || status=none
	case $status in
	200) exit ;;
	404) ;;
	*) echo "wait: Cloud Monitoring answers $status to $METRIC" >&2 ;;
	esac
	sleep "${WAIT:-10}"
done
echo "wait: $METRIC is not known after 15 minutes: apply again" >&2
exit 1
