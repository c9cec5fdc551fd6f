#!/usr/bin/env bash
# Watch a colour's health until stopped; alert when it goes down and when it is back.
#
# Usage: health_check_loop.sh COLOUR [INTERVAL] [--rounds N] [--take-out] [--json]
#
#   COLOUR      blue, green, or an alias such as mina-blue
#   INTERVAL    seconds between two looks; default 5
#   --rounds N  end after N looks; default: never
#   --take-out  move traffic off the colour while it is down, if the other one is ready
#   --json      one JSON object for each look
#
# Down after 2 failures in a row, up after 2 passes. Each change is told by
# scripts/send_alert.sh, or by the command in MINA_OPS_ALERT.
#
# Example: ./scripts/health_check_loop.sh blue 5
#
# Exit codes: 0 up and 3 down at the end of --rounds, 2 usage.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  (($# >= 1)) || ops_usage "needs COLOUR"
  local colour="$1" interval=5
  shift
  if [[ "${1:-}" =~ ^[0-9]+([.][0-9]+)?$ ]]; then
    interval="$1"
    shift
  fi
  local options=("--interval" "$interval" "--alert" "${MINA_OPS_ALERT:-$OPS_ROOT/scripts/send_alert.sh}")
  while (($# > 0)); do
    case "$1" in
      --rounds)
        [[ -n "${2:-}" ]] || ops_usage "--rounds needs a number"
        options+=("--rounds" "$2")
        shift
        ;;
      --take-out | --json) options+=("$1") ;;
      *) ops_usage "unknown argument $1" ;;
    esac
    shift
  done
  ops_exec_mina watch "${options[@]}" -- "$colour"
}

main "$@"
