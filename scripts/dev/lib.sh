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

readonly POLICY=/usr/sbin/policy-rc.d

# Debian's packages start their services; a policy of 101 forbids that for as long as we install.
install_without_starting() {
  trap restore_policy EXIT
  # One that is put aside already is the machine's own: an earlier run was killed.
  if [[ -e $POLICY && ! -e $POLICY.before-mina-ops ]]; then mv "$POLICY" "$POLICY.before-mina-ops"; fi
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get -qq update
  quietly apt-get -qq install --yes --no-install-recommends "$@"
}

# What a command says matters only if it fails.
quietly() {
  local said
  said="$("$@" 2>&1)" || {
    say "$said"
    return 1
  }
}

restore_policy() {
  rm -f "$POLICY"
  if [[ -e $POLICY.before-mina-ops ]]; then mv "$POLICY.before-mina-ops" "$POLICY"; fi
}
