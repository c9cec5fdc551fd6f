"""Releases compared as numbers. Pure."""

from __future__ import annotations

import re

FORM = (
    r"v?[0-9]{1,9}(\.[0-9]{1,9}){0,5}"  # 2.5.0
    r"((a|b|c|rc)[0-9]{1,9}|\.post[0-9]{1,9}|\.dev[0-9]{1,9})?"  # Python's rc1, .post1, .dev3
    r"(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"  # -rc.1 or -12-gabc1234, +build7
)
"""What a release looks like: a regular expression that Python, JavaScript and Rust read alike."""

_RELEASE = re.compile(
    r"v?(?P<numbers>[0-9]{1,9}(?:\.[0-9]{1,9}){0,5})"
    r"(?:(?P<kind>a|b|c|rc)(?P<nth>[0-9]{1,9})"
    r"|\.post(?P<post>[0-9]{1,9})|\.dev(?P<dev>[0-9]{1,9}))?"
    r"(?:-(?P<rest>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
# What `git describe --tags --dirty` appends to the tag: commits since it, and whether files differ.
_DESCRIBED = (
    r"(?P<tag>.*?)(?:(?:^|-)(?P<commits>[0-9]{1,9})-g[0-9a-f]{4,40})?(?P<dirty>(?:^|-)dirty)?"
)
_KINDS = {"a": "alpha", "b": "beta", "c": "rc", "rc": "rc"}

Number = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...], tuple[int, int]]


def release_number(text: str) -> Number | None:
    """What orders releases such as `v2.5.0`, `2.5` or `2.5.1-rc.1`; None: it has no number.

    Trailing zeros do not count; a pre-release comes before its release. What `git describe` says
    some commits after a tag, as `v2.5.0-12-gabc1234`, comes after that tag and before the next
    release. Python's `2.5.0rc1`, `2.5.0.dev3` and `2.5.0.post1` are read as well.

    Source: Semantic Versioning 2.0.0, section 11; PEP 440; git-describe(1).
    """
    match = _RELEASE.fullmatch(text.strip())
    if match is None:
        return None
    numbers = [int(part) for part in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    rest = re.fullmatch(_DESCRIBED, match["rest"] or "")
    assert rest is not None, "it matches any text"
    since_tag = int(rest["commits"] or match["post"] or 0)
    return tuple(numbers), _before(match, rest["tag"]), (since_tag, int(bool(rest["dirty"])))


def _before(match: re.Match[str], tag: str) -> tuple[tuple[int, int, str], ...]:
    """What a pre-release is ordered by; a release itself comes after all of its pre-releases."""
    if match["dev"]:
        return ((-1, int(match["dev"]), ""),)
    found = [_identifier(part) for part in tag.split(".")] if tag else []
    if match["kind"]:
        found = [(1, 0, _KINDS[match["kind"]]), (0, int(match["nth"]), ""), *found]
    return tuple(found) or ((2, 0, ""),)


def _identifier(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)
