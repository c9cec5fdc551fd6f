#!/usr/bin/env bash
# For the programs in scripts/bin, which stand before others of the same name on PATH.

# Print the path of the program that this one stands before. Arguments: its name.
real_program() {
  local name="$1" own candidate
  own="$(cd "$(dirname "${BASH_SOURCE[0]}")/../bin" && pwd -P)"
  while read -r candidate; do
    if [[ "$(cd "$(dirname "$candidate")" && pwd -P)" != "$own" ]]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done < <(type -aP "$name")
  printf '%s is not installed.\n' "$name" >&2
  exit 6
}

# Print the mina-ops command to use.
mina_ops() {
  local root
  root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
  if [[ -n "${MINA_OPS:-}" ]]; then
    printf '%s\n' "$MINA_OPS"
  elif [[ -x "$root/.venv/bin/mina-ops" ]]; then
    printf '%s\n' "$root/.venv/bin/mina-ops"
  else
    printf 'mina-ops\n'
  fi
}
