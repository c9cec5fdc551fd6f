#!/usr/bin/env bash
# Release the pushed hotfix at once: what is committed and pushed, through the usual release.
#
# Usage: emergency_deploy.sh [VERSION] [--plan FILE] [--force] [--dry-run]
#
#   VERSION      default: the tag on the commit, else v<date>-hotfix-<commit>
#   --plan FILE  a mina-ops.toml with a shorter plan than the usual one
#   --force      even with changes that are not committed
#   --dry-run    say what would be run
#
# Variables:
#   MINA_OPS_EMERGENCY_CONFIG  as --plan
#
# Example: git push && ./scripts/emergency_deploy.sh
#
# It takes time from nobody's safety: health gates and the automatic rollback stay.
# Exit codes: 0 released, 1 not committed or not pushed, 2 usage, 4 another release runs,
# 5 rolled back, 6 git is missing.

source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

# The version to release: the tag on this commit, else one made of the date and the commit.
version_of_head() {
  local tag
  tag="$(git describe --exact-match --tags HEAD 2>/dev/null)" || tag=""
  if [[ -n "$tag" ]]; then
    printf '%s\n' "$tag"
  else
    printf 'v%s-hotfix-%s\n' "$(date -u +%Y.%m.%d)" "$(git rev-parse --short HEAD)"
  fi
}

# End unless all that is committed is on the remote branch.
require_pushed() {
  local behind
  git rev-parse --verify --quiet '@{upstream}' >/dev/null ||
    ops_die 1 "this branch was never pushed; git push -u origin HEAD first"
  behind="$(git rev-list --count '@{upstream}..HEAD')"
  ((behind == 0)) || ops_die 1 "$behind commits are not pushed; git push first"
}

main() {
  ops_help_if_asked "$@"
  local version="" plan="${MINA_OPS_EMERGENCY_CONFIG:-}" force="" dry_run=()
  while (($# > 0)); do
    case "$1" in
      --plan)
        [[ -n "${2:-}" ]] || ops_usage "--plan needs a file"
        plan="$2"
        shift
        ;;
      --force) force=yes ;;
      --dry-run) dry_run=(--dry-run) ;;
      -*) ops_usage "unknown argument $1" ;;
      *)
        [[ -z "$version" ]] || ops_usage "one VERSION is enough"
        version="$1"
        ;;
    esac
    shift
  done
  ops_need git "Install Debian's git."
  git rev-parse --is-inside-work-tree >/dev/null 2>&1 || ops_die 1 "this is no git checkout"
  if [[ -z "$force" && -n "$(git status --porcelain --untracked-files=no)" ]]; then
    ops_die 1 "there are changes that are not committed; commit them, or --force"
  fi
  require_pushed
  version="${version:-$(version_of_head)}"
  if [[ -n "$plan" ]]; then
    [[ -f "$plan" ]] || ops_usage "there is no plan $plan"
    export MINA_OPS_CONFIG="$plan"
  fi
  ops_say "Emergency release of $version ($(git rev-parse --short HEAD))"
  ops_exec_mina release start "${dry_run[@]}" -- "$version"
}

main "$@"
