#!/usr/bin/env bash
# How far a corruption goes: which tables and rows, from when to when, and what to type next.
#
# Usage: analyze_data_corruption.sh [--manifest BACKUP] [--url-env NAME] [--json] [--dry-run]
#
#   --manifest BACKUP  compare the numbers of rows with this backup's manifest
#   --url-env NAME     the variable with the database's URL; default DATABASE_URL
#   --json             one JSON object
#   --dry-run          say what would be analysed
#
# Example: ./scripts/analyze_data_corruption.sh
#
# Exit codes: 0 nothing is damaged, 2 usage, 3 no connection, 11 there is damage.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina db corruption "$@"
}

main "$@"
