"""`python -m tests.hosts.table` runs the zoo here and writes its table into docs/hosts.md.

Every host in this process, and under gunicorn in each mode that this environment has: Mina's pins
have all three. Takes ten minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.host import NAMES, make, summary
from tests.hosts.promises import PROMISES, Ask, of_client, of_server
from tests.support.hosts import REPOSITORY, Hosts
from tests.support.needs import available_workers

PAGE = REPOSITORY / "docs" / "hosts.md"
START, END = "<!-- the zoo -->\n", "<!-- end of the zoo -->\n"
MODES = ("gthread", "gevent", "eventlet")
HELD = "all held"


def main() -> None:
    """Run every promise against every host in every mode, and write down what held."""
    modes = [mode for mode in MODES if mode in available_workers()]
    head = ["host", "what it is", "in process", *modes]
    rows = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name in NAMES:
        cells = [_held_here(name), *(_held_under(name, mode) for mode in modes)]
        rows.append(f"| {' | '.join([f'`{name}`', summary(name), *cells])} |")
        print(rows[-1], file=sys.stderr, flush=True)
    page = PAGE.read_text()
    before, after = page.split(START)[0], page.split(END)[1]
    PAGE.write_text(before + START + "\n" + "\n".join(rows) + "\n\n" + END + after)


def _held_here(name: str) -> str:
    app = make(name)
    try:
        return _held(of_client(app))
    finally:
        app.extensions["mina_ops"].close()


def _held_under(name: str, mode: str) -> str:
    with _hosts() as hosts:
        app = "tests.hosts.serve:app"
        return _held(of_server(hosts(app, worker=mode, environment={"ZOO_HOST": name}).url))


@contextmanager
def _hosts() -> Iterator[Hosts]:
    with tempfile.TemporaryDirectory() as folder:
        hosts = Hosts(Path(folder))
        try:
            yield hosts
        finally:
            hosts.stop_all()


def _held(ask: Ask) -> str:
    """Which promises do not hold, or that all do."""
    broken = []
    for promise in PROMISES:
        try:
            promise(ask)
        except Exception as exc:
            broken.append(f"{promise.__name__} broken ({type(exc).__name__})")
    return ", ".join(broken) or HELD


if __name__ == "__main__":
    main()
