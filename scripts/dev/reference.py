#!/usr/bin/env python3
"""Write the tables of settings into docs/, from the declarations in the code.

    .venv/bin/python scripts/dev/reference.py [--check]

A page holds `<!-- keys of NAME -->`, a table, and `<!-- end of keys -->`; the table is replaced.
With --check nothing is written, and the exit code is 1 if a page differs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from mina_ops.app import settings
from mina_ops.cli.config import declarations
from mina_ops.fields import markdown
from mina_ops.operator.release import reference
from mina_ops.operator.traffic.site import SiteOptions, VisitorOptions

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"<!-- keys of ([a-z. ]+) -->\n.*?<!-- end of keys -->", re.DOTALL)


def tables() -> Mapping[str, Callable[[], str]]:
    """Name of a block -> what makes its table."""
    named = {
        name: partial(markdown, declared, f"key of `[{name}]`", beside=_shared_by(declared))
        for name, declared in declarations().items()
    }
    named["visitors"] = partial(markdown, VisitorOptions)
    named["the site"] = partial(markdown, SiteOptions, beside=VisitorOptions)
    return {**named, "release": reference.tables, "the app": settings.table}


def _shared_by(declared: type) -> type | None:
    """What a load balancer's keys have in common stands in a table of its own."""
    return SiteOptions if issubclass(declared, VisitorOptions) else None


def renewed(text: str) -> str:
    """The page with its blocks as the code says they are."""
    known = tables()

    def block(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- keys of {name} -->\n\n{known[name]()}\n\n<!-- end of keys -->"

    return _BLOCK.sub(block, text)


def main() -> int:
    """Renew every page, or say which ones differ."""
    check = "--check" in sys.argv[1:]
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text()
        new = renewed(text)
        if new != text:
            stale.append(page)
            if not check:
                page.write_text(new)
    for page in stale:
        print(f"{'differs' if check else 'renewed'}: {page.relative_to(DOCS.parent)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
