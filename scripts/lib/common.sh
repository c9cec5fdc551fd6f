#!/usr/bin/env bash
# Shared by the scripts: strict mode, help from a script's header, and how they reach `mina-ops`.
# Source it first:  source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
#
# Variables:
#   MINA_OPS         the mina-ops command to use; default: the checkout's, else the one on PATH
#   MINA_OPS_CONFIG  settings; default: ./mina-ops.toml, else the checkout's
#   MINA_OPS_DEBUG   set: print every command as it runs

set -Eeuo pipefail
umask 077

OPS_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
OPS_SCRIPT="$0"
export OPS_ROOT

# Exit codes, as `mina-ops --help` lists them.
OPS_USAGE=2
OPS_TOOL_MISSING=6
export OPS_USAGE OPS_TOOL_MISSING

if [[ -n "${MINA_OPS_DEBUG:-}" ]]; then
  PS4='+ ${BASH_SOURCE[0]##*/}:${LINENO} ${FUNCNAME[0]:-main}: '
  set -x
fi
trap 'printf "%s: failed at %s:%s\n" "${OPS_SCRIPT##*/}" "${BASH_SOURCE[0]##*/}" "$LINENO" >&2' ERR

# Print a remark on stderr.
ops_say() {
  printf '%s\n' "$*" >&2
}

# End with a message. Arguments: exit code, message.
ops_die() {
  local code="$1" message="$2"
  ops_say "${OPS_SCRIPT##*/}: ${message}"
  exit "$code"
}

# Print the script's header comment, which is its help.
ops_help() {
  awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$OPS_SCRIPT"
}

# End with help if the first argument asks for it. Arguments: the script's own.
ops_help_if_asked() {
  case "${1:-}" in
    -h | --help)
      ops_help
      exit 0
      ;;
  esac
}

# End with exit code 2 and the usage. Arguments: message.
ops_usage() {
  ops_say "${OPS_SCRIPT##*/}: $1"
  ops_help | sed -n '/^Usage:/,/^$/p' >&2
  exit "$OPS_USAGE"
}

# End with exit code 6 unless a program is there. Arguments: program, advice.
ops_need() {
  local program="$1" advice="$2"
  command -v "$program" >/dev/null 2>&1 ||
    ops_die "$OPS_TOOL_MISSING" "${program} is not installed. ${advice}"
}

# Find mina-ops and the settings; sets OPS_COMMAND. An ERR trap is no news where mina-ops spoke.
ops_find_command() {
  if [[ -n "${MINA_OPS:-}" ]]; then
    OPS_COMMAND="$MINA_OPS"
  elif [[ -x "$OPS_ROOT/.venv/bin/mina-ops" ]]; then
    OPS_COMMAND="$OPS_ROOT/.venv/bin/mina-ops"
  else
    OPS_COMMAND="mina-ops"
  fi
  ops_need "$OPS_COMMAND" "Run scripts/dev/setup, or pip install mina-ops."
  if [[ -z "${MINA_OPS_CONFIG:-}" && ! -f mina-ops.toml && -f "$OPS_ROOT/mina-ops.toml" ]]; then
    export MINA_OPS_CONFIG="$OPS_ROOT/mina-ops.toml"
  fi
}

# Run mina-ops; a failure ends the script with mina-ops' own exit code, its message was printed.
ops_mina() {
  ops_find_command
  local code=0
  "$OPS_COMMAND" "$@" || code=$?
  if ((code != 0)); then
    exit "$code"
  fi
}

# Become mina-ops, so that signals and its exit code are those of the script.
ops_exec_mina() {
  ops_find_command
  exec "$OPS_COMMAND" "$@"
}
