"""A status page that any web server can serve: index.html and status.json in a folder.

Every update replaces both files as a whole; status.json is the source, index.html is made of it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import ConfigurationError
from mina_ops.locks import held

STATES: Mapping[str, tuple[str, str]] = {
    "operational": ("All systems operational", "#1a7f37"),
    "degraded": ("Degraded performance", "#9a6700"),
    "outage": ("Service unavailable", "#cf222e"),
    "maintenance": ("Planned maintenance", "#0969da"),
}
MOST_CHARACTERS = 2000
_KEPT = 50
# A page that people on the internet read, through a web server that is another user.
_PUBLIC = 0o644
_PUBLIC_FOLDER = 0o755

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60"><title>{title}: {headline}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem;
  color: #1f2328; background: #fff }}
header {{ border-left: .5rem solid {colour}; padding-left: 1rem }}
h1 {{ font-size: 1.5rem; margin: 0 }} time {{ color: #59636e; font-size: .875rem }}
ol {{ list-style: none; padding: 0 }} li {{ border-top: 1px solid #d1d9e0; padding: .75rem 0 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #f0f6fc; background: #0d1117 }}
  time {{ color: #9198a1 }} li {{ border-color: #3d444d }} }}
</style></head><body>
<header><h1>{title}: {headline}</h1><time datetime="{at}">{shown}</time></header>
<main><h2>Updates</h2><ol>{entries}</ol></main></body></html>
"""


@dataclass(frozen=True)
class Entry:
    """One update: when (ISO, UTC), which state, and a sentence for the users."""

    at: str
    state: str
    text: str


def update(folder: Path, text: str, state: str, now: datetime, title: str = "Mina") -> list[Entry]:
    """Publish an update; all entries afterwards, the newest first.

    Raises:
        ConfigurationError: the state is unknown, or the text empty or too long.
        NotWritten: the folder cannot be written; the page is as it was.
    """
    text = " ".join(text.split())
    if state not in STATES:
        raise ConfigurationError(f"{state!r} is none of {', '.join(STATES)}.")
    if not text or len(text) > MOST_CHARACTERS:
        raise ConfigurationError(f"An update has 1 to {MOST_CHARACTERS} characters.")
    files.make_folder(folder, _PUBLIC_FOLDER)
    with held(folder / ".lock"):
        entry = Entry(now.isoformat(timespec="seconds"), state, text)
        entries = [entry, *read(folder)][:_KEPT]
        value = {"title": title, "state": state, "updates": [vars(item) for item in entries]}
        files.write(folder / "status.json", json.dumps(value, indent=2) + "\n", _PUBLIC)
        files.write(folder / "index.html", page(entries, title), _PUBLIC)
    return entries


def read(folder: Path) -> list[Entry]:
    """The entries of a folder, the newest first; none where there is no page yet.

    Raises:
        ConfigurationError: its status.json is damaged.
    """
    file = folder / "status.json"
    try:
        raw: dict[str, Any] = json.loads(file.read_text())
        return [Entry(**entry) for entry in raw["updates"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError(f"{file} cannot be read; move it away to begin anew.") from exc


def page(entries: list[Entry], title: str) -> str:
    """The page as HTML; texts are escaped."""
    newest = entries[0]
    headline, colour = STATES[newest.state]
    items = "".join(
        f"<li><strong>{html.escape(STATES[entry.state][0])}</strong> "
        f'<time datetime="{html.escape(entry.at)}">{_shown(entry.at)}</time>'
        f"<p>{html.escape(entry.text)}</p></li>"
        for entry in entries
    )
    return _PAGE.format(
        title=html.escape(title),
        headline=headline,
        colour=colour,
        at=html.escape(newest.at),
        shown=_shown(newest.at),
        entries=items,
    )


def _shown(at: str) -> str:
    return html.escape(f"{at[:16].replace('T', ' ')} UTC")
