#!/usr/bin/env bash
# Check that the data is whole: constraints, keys, sequences, indexes, rows. Reads only.
#
# Usage: verify_data_integrity.sh [--manifest BACKUP [--exact]] [--url-env NAME] [--json] [--dry-run]
#
#   --manifest BACKUP  compare the numbers of rows with this backup's manifest
#   --exact            every row must be as in the backup, as after a restore
#   --only CHECK       only this check; repeatable
#   --url-env NAME     the variable with the database's URL; default DATABASE_URL
#   --json             one JSON object
#   --dry-run          say what would be checked
#
# Example: ./scripts/verify_data_integrity.sh --manifest backups/backup_latest.sql
#
# Exit codes: 0 no fault, 1 a check could not be made, 2 usage, 3 no connection, 11 faults found.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina db integrity "$@"
}

main "$@"
