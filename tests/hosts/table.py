"""`python -m tests.hosts.table` runs the zoo here and writes its table into docs/hosts.md."""

from __future__ import annotations

from tests.hosts.host import NAMES, make, summary
from tests.hosts.promises import PROMISES, of_client
from tests.support.hosts import REPOSITORY

PAGE = REPOSITORY / "docs" / "hosts.md"
START, END = "<!-- the zoo -->\n", "<!-- end of the zoo -->\n"


def main() -> None:
    """Run every promise against every host, and write down what held."""
    names = " | ".join(promise.__name__ for promise in PROMISES)
    rows = [f"| host | what it is | {names} |", "| --- | --- |" + " --- |" * len(PROMISES)]
    for name in NAMES:
        held = " | ".join(_held(name))
        rows.append(f"| `{name}` | {summary(name)} | {held} |")
    page = PAGE.read_text()
    before, after = page.split(START)[0], page.split(END)[1]
    PAGE.write_text(before + START + "\n" + "\n".join(rows) + "\n\n" + END + after)


def _held(name: str) -> list[str]:
    app = make(name)
    ask, found = of_client(app), []
    for promise in PROMISES:
        try:
            promise(ask)
            found.append("held")
        except Exception as exc:
            found.append(f"broken: {type(exc).__name__}")
    app.extensions["mina_ops"].close()
    return found


if __name__ == "__main__":
    main()
