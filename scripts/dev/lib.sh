# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run; leaves us at the top of the checkout.

set -Eeuo pipefail
# Someone's environment must not decide what is tested.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CDPATH

SELF="$(realpath "$0")"
cd "$(dirname "$SELF")/../.."

trap 'printf "%s:%s: failed\n" "${BASH_SOURCE[0]}" "$LINENO" >&2' ERR

say() {
  printf '%s\n' "$*" >&2
}

die() {
  trap - ERR
  say "$(basename "$SELF"): $*"
  exit 2
}

# The comment at the top of the running script is its help.
show_help() {
  sed -n '2,/^$/ s/^# \{0,1\}//p' "$SELF"
}
