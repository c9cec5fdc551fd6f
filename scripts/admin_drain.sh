#!/usr/bin/env bash
# Drain a colour: its live sessions move to the other one; the count falls on screen.
#
# Usage: admin_drain.sh COLOUR [--grace SECONDS] [--no-wait] [--cancel] [--force] [--dry-run]
#
#   COLOUR           blue, green, or an alias such as mina-blue
#   --grace SECONDS  how long sessions may take to leave; default 30
#   --no-wait        order it and return
#   --cancel         take the order back; the colour serves again
#   --force          even while the other colour drains
#   --dry-run        say what would be asked of which address
#
# Example: ./scripts/admin_drain.sh mina-blue
#
# The admin's token comes from the variable that mina-ops.toml names, MINA_OPS_TOKEN by default.
# Exit codes: 0 nobody is left, 8 access denied, 9 sessions had to be cut, 10 some are still open.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  (($# >= 1)) || ops_usage "needs COLOUR"
  local colour="$1" wait="--wait"
  shift
  local options=()
  while (($# > 0)); do
    case "$1" in
      --grace)
        [[ -n "${2:-}" ]] || ops_usage "--grace needs seconds"
        options+=("--grace" "$2")
        shift
        ;;
      --no-wait) wait="" ;;
      --cancel)
        wait=""
        options+=("--cancel")
        ;;
      --force | --dry-run) options+=("$1") ;;
      *) ops_usage "unknown argument $1" ;;
    esac
    shift
  done
  ops_exec_mina drain ${wait:+"$wait"} "${options[@]}" -- "$colour"
}

main "$@"
