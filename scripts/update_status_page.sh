#!/usr/bin/env bash
# Publish an update on the static status page; the text comes on standard input.
#
# Usage: echo TEXT | update_status_page.sh [--state STATE] [--json] [--dry-run]
#
#   --state STATE  outage (default), degraded, maintenance or operational
#   --text TEXT    instead of standard input
#   --json         one JSON object
#   --dry-run      say what would be published
#
# Example: echo "Service restored" | ./scripts/update_status_page.sh --state operational
#
# Any web server can serve the folder incident.status_folder of mina-ops.toml.
# Exit codes: 0 published, 1 the folder cannot be written, 2 usage or no text.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina incident status-page "$@"
}

main "$@"
