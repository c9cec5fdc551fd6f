#!/usr/bin/env bash
# Where a failed migration stopped, what is half done, and who holds locks. Reads only.
#
# Usage: analyze_migration_failure.sh [--include-timeline] [--migrations FOLDER] [--url-env NAME]
#                                     [--json] [--dry-run]
#
#   --include-timeline   also when migrations were committed, backups made, releases stepped
#   --migrations FOLDER  Alembic's folder; default: the one of mina-ops.toml, else ./migrations
#   --url-env NAME       the variable with the database's URL; default DATABASE_URL
#   --json               one JSON object
#   --dry-run            say what would be read
#
# Example: ./scripts/analyze_migration_failure.sh --include-timeline
#
# What to do then: mina-ops db verdict
# Exit codes: 0 analysed, 2 usage or no migrations, 3 no connection.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina db analyse-failure "$@"
}

main "$@"
