#!/usr/bin/env bash
# Tell the people on duty one sentence: on stderr, in the system's log, and over every channel.
#
# Usage: send_alert.sh MESSAGE [--deadline SECONDS] [--json] [--dry-run]
#
#   --deadline SECONDS  at most so long; default: the one of mina-ops.toml, 10
#   --json              one JSON object
#   --dry-run           say which channels would be told
#
# The channels are [notify.channels] of mina-ops.toml. Without one, stderr and the log have it.
#
# Example: ./scripts/send_alert.sh "Environment blue is unhealthy"
#
# Exit codes: 0 all told, 1 a channel was not reached, 2 usage.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  [[ $# -ge 1 && -n "$1" && "$1" != -* ]] || ops_usage "needs MESSAGE, in quotes"
  local message="$1"
  shift
  if [[ " $* " != *" --dry-run "* ]]; then
    ops_say "ALERT: $message"
    if command -v logger >/dev/null 2>&1; then
      logger -t mina-ops -p daemon.alert -- "$message" || true
    fi
  fi
  ops_exec_mina notify "$@" -- alert "$message"
}

main "$@"
