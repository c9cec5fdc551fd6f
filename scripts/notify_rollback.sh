#!/usr/bin/env bash
# Tell people over every channel that a release was rolled back; takes ten seconds at most.
#
# Usage: notify_rollback.sh MESSAGE [--deadline SECONDS] [--json] [--dry-run]
#
#   --deadline SECONDS  at most so long; default: the one of mina-ops.toml, 10
#   --json              one JSON object
#   --dry-run           say which channels would be told
#
# Example: ./scripts/notify_rollback.sh "Critical bug in v2.5.0 - rolled back to v2.4.5"
#
# Exit codes: 0 all told, 1 a channel was not reached, 2 usage.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  [[ $# -ge 1 && -n "$1" && "$1" != -* ]] || ops_usage "needs MESSAGE, in quotes"
  local message="$1"
  shift
  ops_exec_mina notify "$@" -- rollback "$message"
}

main "$@"
