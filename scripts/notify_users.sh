#!/usr/bin/env bash
# Write a letter to users, in batches; run again, it goes on, and nobody is told twice.
#
# Usage: notify_users.sh --template NAME [--set KEY=VALUE]... [--recipients FILE] [--dry-run]
#
#   --template NAME    a letter of docs/templates, as security_breach
#   --set KEY=VALUE    fills a placeholder of the letter; repeatable
#   --recipients FILE  lines of address,name; default: what mina-ops.toml says
#   --batch N          letters between two pauses; default 50
#   --pause SECONDS    the pause; default 1
#   --retry-unknown    also those of whom a killed run left it unknown
#   --json             one JSON object
#   --dry-run          show the letter and the number of people, send nothing
#
# Example: ./scripts/notify_users.sh --template security_breach --set what="..." --set data="..."
#
# Exit codes: 0 all told, 1 some people could not be told and are named, 2 usage, 4 it runs already,
# 6 no sendmail.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina incident notify-users "$@"
}

main "$@"
