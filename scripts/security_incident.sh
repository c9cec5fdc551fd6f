#!/usr/bin/env bash
# Open a security incident: it is recorded, people are called, logs are kept as evidence.
#
# Usage: security_incident.sh --severity SEVERITY [--text TEXT] [--json] [--dry-run]
#        security_incident.sh --close
#
#   --severity SEVERITY  critical, high, medium or low
#   --text TEXT          what is known, in a sentence
#   --close              the incident is over
#   --json               one JSON object
#   --dry-run            say what would be done
#
# Example: ./scripts/security_incident.sh --severity critical
#
# A second call while one is open adds to it and calls people again.
# Exit codes: 0 done, 1 nothing to close, 2 usage.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina incident security "$@"
}

main "$@"
