"""The pages of the documentation, and the shell blocks in them.

A block of ```sh, ```bash or ```console is typed by a test, or the line above it says why not:

    <!-- not run: root -->

`<!-- no block is run: REASON -->` says it of a page that a script writes. `REASONS` is the whole
list of what may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import REPOSITORY

SHELLS = ("sh", "bash", "console")
REASONS = {
    "root": "changes the machine: packages, units, certificates below /etc",
    "another shell": "is for a shell that Debian does not install",
    "checkout": "builds or tests this project, which is what runs the page's test",
    "tests/operator/judge": "is for a cluster's pods; that folder's tests ask a judge of real apps",
    "tests/operator/traffic": "is for another balancer than the site's; that folder's tests run it",
    "scripts/dev/http_api.py": "that script made the block of a real answer",
    "scripts/dev/screens.py": "that script made the block, of a real release in tmux",
}
_PAGE = re.compile(r"^<!-- no block is run: ([^\n]*) -->$", re.M)
_BLOCK = re.compile(r"(?:<!-- not run: ([^\n]*) -->\n)?^```([a-z]*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Typed:
    """A command line of a block, and the output that the page shows below it."""

    line: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, what it says, and why it is not run, if so."""

    page: str
    line: int
    language: str
    text: str
    excuse: str | None

    @property
    def where(self) -> str:
        """Page and line, as an editor opens them."""
        return f"{self.page}:{self.line}"

    def typed(self) -> list[Typed]:
        """The command lines, continued ones as one, without comments between them."""
        lines = self.text.replace("\\\n", "").splitlines()
        if self.language != "console":
            return [Typed(line) for line in lines if line.strip() and not line.startswith("#")]
        found: list[Typed] = []
        for line in lines:
            if line.startswith("$ "):
                found.append(Typed(line[2:]))
            else:
                last = found.pop()
                found.append(Typed(last.line, (*last.shown, line)))
        return found


def pages() -> list[Path]:
    """Every page that a reader may open, but for the record of changes."""
    folders = [REPOSITORY, *(REPOSITORY / name for name in ("docs", "nginx", "deployment"))]
    found = [page for folder in folders[:2] for page in sorted(folder.glob("*.md"))]
    found += [page for folder in folders[2:] for page in sorted(folder.rglob("*.md"))]
    return found


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in its order."""
    text, name = page.read_text(), page.relative_to(REPOSITORY).as_posix()
    whole = _PAGE.search(text)
    return [
        Block(
            name,
            text.count("\n", 0, found.start(2)) + 1,
            found[2],
            found[3],
            whole[1] if whole else found[1],
        )
        for found in _BLOCK.finditer(text)
    ]


def shell_blocks() -> Iterator[Block]:
    """The blocks of all pages that somebody would type."""
    for page in pages():
        yield from (block for block in blocks(page) if block.language in SHELLS)
