"""The status page as HTML: state, components, what is planned, and what happened, day by day."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from itertools import groupby

from mina_ops.operator.incident.status_page.model import WORDS, Entry, Maintenance, Status

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60"><title>{title}: {headline}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #fff; --line: #d1d9e0;
  --operational: #1a7f37; --maintenance: #0969da; --degraded: #9a6700; --outage: #cf222e }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #f0f6fc; --soft: #9198a1; --paper: #0d1117;
  --line: #3d444d; --operational: #3fb950; --maintenance: #4493f8; --degraded: #d29922;
  --outage: #f85149 }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper) }}
header {{ border-left: .5rem solid var(--{state}); padding-left: 1rem }}
h1 {{ font-size: 1.5rem; margin: 0 }} h2 {{ font-size: 1.125rem; margin: 2rem 0 .5rem }}
h3 {{ font-size: .875rem; color: var(--soft); margin: 1.25rem 0 .25rem }}
time, .about {{ color: var(--soft); font-size: .875rem }}
strong time {{ color: inherit; font-size: inherit }} p {{ margin: .25rem 0 0 }}
ul, ol {{ list-style: none; padding: 0; margin: 0 }}
li {{ border-top: 1px solid var(--line); padding: .75rem 0; overflow-wrap: anywhere }}
.components li {{ display: flex; justify-content: space-between; gap: 1rem; padding: .5rem 0 }}
.operational {{ color: var(--operational) }} .maintenance {{ color: var(--maintenance) }}
.degraded {{ color: var(--degraded) }} .outage {{ color: var(--outage) }}
</style></head><body>
<header><h1>{title}: {headline}</h1><time datetime="{at}">{shown}</time></header>
<main>{components}{planned}<section><h2>History</h2>{days}</section></main></body></html>
"""


def page(status: Status, now: str) -> str:
    """The whole page; every text of a person is escaped."""
    return _PAGE.format(
        title=html.escape(status.title),
        headline=html.escape(status.headline),
        state=status.state,
        at=html.escape(now),
        shown=_when(now),
        components=_components(status.components),
        planned=_planned(status.planned),
        days=_days(status.updates) or "<p>Nothing happened so far.</p>",
    )


def _components(states: Mapping[str, str]) -> str:
    items = "".join(
        f"<li><span>{html.escape(name)}</span>"
        f'<strong class="{state}">{WORDS[state][1]}</strong></li>'
        for name, state in states.items()
    )
    return f'<section><h2>Components</h2><ul class="components">{items}</ul></section>' * bool(
        items
    )


def _planned(works: Iterable[Maintenance]) -> str:
    items = "".join(
        f'<li><strong class="maintenance">{_time(work.begin)} to {_time(work.end)}</strong>'
        f"{_about(work.components)}<p>{html.escape(work.text)}</p></li>"
        for work in works
    )
    return _section("Planned maintenance", f"<ul>{items}</ul>") if items else ""


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _days(updates: Iterable[Entry]) -> str:
    return "".join(
        f"<h3>{html.escape(day)}</h3><ol>{''.join(map(_item, found))}</ol>"
        for day, found in groupby(updates, key=lambda entry: entry.at[:10])
    )


def _item(entry: Entry) -> str:
    word = WORDS[entry.state][1 if entry.components else 0]
    return (
        f'<li><strong class="{entry.state}">{word}</strong> {_time(entry.at)}'
        f"{_about(entry.components)}<p>{html.escape(entry.text)}</p></li>"
    )


def _about(components: tuple[str, ...]) -> str:
    names = ", ".join(map(html.escape, components))
    return f'<div class="about">{names}</div>' if names else ""


def _time(at: str) -> str:
    return f'<time datetime="{html.escape(at)}">{_when(at)}</time>'


def _when(at: str) -> str:
    return html.escape(f"{at[:16].replace('T', ' ')} UTC")
