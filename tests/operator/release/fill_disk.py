"""Fill the file system below a folder to the last byte: `fill_disk.py FOLDER`.

The journal is first padded to the end of its page with a note: within a page that it has already,
a file can still grow on a full disk.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

PAGE = os.sysconf("SC_PAGESIZE")


def main(folder: Path) -> None:
    """Pad the newest journal, then write zeros until nothing fits."""
    journal = max(folder.glob("releases/*/journal.jsonl"))
    note = {"at": 0, "event": "note", "phase": "checks", "padding": ""}
    bare = len(json.dumps(note)) + 1
    note["padding"] = "x" * (-(journal.stat().st_size + bare) % PAGE)
    with journal.open("a") as file:
        file.write(json.dumps(note) + "\n")
    with suppress(OSError), (folder / "zeros").open("wb", buffering=0) as zeros:
        while True:
            zeros.write(bytes(PAGE))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
