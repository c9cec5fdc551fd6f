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

# Become the program that this one stands before; exit code 6 where there is none. Arguments: its
# name, then what it is given.
become() {
  local program
  # Not within the line that runs it: a substitution that fails there ends nothing.
  program="$(real_program "$1")" || exit $?
  exec "$program" "${@:2}"
}

# Take the passwords out of the database URLs among a program's arguments; libpq finds the last one in
# PGPASSWORD. What stands in a command line, `ps` shows to everybody for as long as a dump takes.
# Arguments: the name of the array.
hide_passwords() {
  local -n given_ref="$1"
  local index url='^((-d|--dbname=)?postgres(ql)?://[^:/@?]*):([^@/]+)@(.*)$'
  for index in "${!given_ref[@]}"; do
    if [[ "${given_ref[index]}" =~ $url ]]; then
      given_ref[index]="${BASH_REMATCH[1]}@${BASH_REMATCH[5]}"
      PGPASSWORD="$(percent_decoded "${BASH_REMATCH[4]}")"
      export PGPASSWORD
    fi
  done
}

# Print a text with its %XX as what they stand for.
percent_decoded() {
  local text="${1//\\/\\\\}"
  printf '%b' "${text//%/\\x}"
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
