#!/usr/bin/env bash
# Open or close the emergency hotline: people on duty are called over every channel.
#
# Usage: emergency_hotline.sh --activate | --deactivate | --status [--why TEXT] [--json] [--dry-run]
#
#   --activate    open it and call people; an open one stays as it is and nobody is called again
#   --deactivate  close it, and say so
#   --status      whether it is open, and how to join
#   --why TEXT    one sentence that people are told
#   --json        one JSON object
#   --dry-run     say what would be done
#
# Example: ./scripts/emergency_hotline.sh --activate
#
# Exit codes: 0 done, 1 nothing to close, 2 usage.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  ops_exec_mina incident hotline "$@"
}

main "$@"
