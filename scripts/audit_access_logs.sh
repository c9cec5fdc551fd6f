#!/usr/bin/env bash
# Suspicious patterns in access logs (nginx, HAProxy, gunicorn, JSON) and in the app's audit log.
#
# Usage: audit_access_logs.sh [--since TIME] [--log PATTERN] [--audit-log PATTERN] [--json] [--dry-run]
#
#   --since TIME         "2 hours ago", "30m", "yesterday" or an ISO time; default 24 hours ago
#   --log PATTERN        access logs, rotated and packed ones too; default: those of mina-ops.toml
#   --audit-log PATTERN  logs of the app with its AUDIT lines
#   --json               one JSON object
#   --dry-run            say which files would be read
#
# Example: ./scripts/audit_access_logs.sh --since "2 hours ago"
#
# Exit codes: 0 nothing suspicious, 2 usage or no log, 8 no log may be read, 11 look at these, or a
# part could not be read.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina incident logs "$@"
}

main "$@"
