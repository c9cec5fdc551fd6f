#!/usr/bin/env bash
# Replace the app's secrets in stages, without a failed request or a lost session.
#
# Usage: rotate_secrets.sh --all | --only KIND | --resume | --undo [--force] [--dry-run] [--json]
#
#   --all           every secret that the file has
#   --only KIND     secret_key, tokens, database or redis; repeatable
#   --force         do not ask; cut database sessions that still use the old role; also with a
#                   Redis that would forget the new password in a restart
#   --end-sessions  the old key is void at once: everyone logs in again
#   --resume        go on with a rotation that was interrupted
#   --undo          take an interrupted rotation back, however far it is
#   --json          one JSON object; no secret is ever printed
#   --dry-run       say what would be rotated
#
# Variables:
#   ADMIN_DATABASE_URL  a role that may create roles, for the database's secret
#
# Example: ./scripts/rotate_secrets.sh --all --force
#
# Exit codes: 0 done, 1 failed (all is as it was, or --resume), 2 usage, 3 a colour is not well,
# 4 another rotation is running, 8 a role may not do it.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina secrets rotate "$@"
}

main "$@"
