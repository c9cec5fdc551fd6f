#!/usr/bin/env bash
# Send new visitors from one colour to the other; live sessions stay until drained.
#
# Usage: switch_traffic.sh FROM TO [--instant | --canary PERCENT] [--force] [--dry-run]
#
#   --instant         everybody to TO (the default)
#   --canary PERCENT  so many percent to TO, the rest to FROM
#   --force           even if TO is not ready
#   --dry-run         say what would be done, change nothing
#
# Examples:
#   ./scripts/switch_traffic.sh blue green --canary 10
#   ./scripts/switch_traffic.sh blue green --instant
#   ./scripts/switch_traffic.sh green blue --canary 75    # blue gets 75 %
#
# Exit codes: 0 done, 2 usage, 3 TO is not ready, 7 the load balancer did not follow; on a
# failure traffic is as it was. `mina-ops --help` lists them all.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

main() {
  ops_help_if_asked "$@"
  (($# >= 2)) || ops_usage "needs FROM and TO"
  local from="$1" to="$2" strategy="--instant" dry_run=""
  shift 2
  local options=()
  while (($# > 0)); do
    case "$1" in
      --instant) strategy="--instant" ;;
      --canary)
        [[ -n "${2:-}" ]] || ops_usage "--canary needs a percentage"
        strategy="--canary"
        options+=("--canary" "$2")
        shift
        ;;
      --force) options+=("--force") ;;
      --dry-run)
        dry_run=yes
        options+=("--dry-run")
        ;;
      *) ops_usage "unknown argument $1" ;;
    esac
    shift
  done
  if [[ "$strategy" == "--instant" ]]; then
    options+=("--instant")
  fi
  printf 'Switching traffic from %s to %s (%s)\n' "$from" "$to" "$strategy"
  ops_mina switch "${options[@]}" -- "$from" "$to"
  if [[ -z "$dry_run" ]]; then
    printf '✅ Traffic switched successfully\n'
  fi
}

main "$@"
