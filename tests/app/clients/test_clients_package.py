"""The folder of the browsers' client is what a bundler expects."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import mina_ops.app.clients

pytestmark = pytest.mark.once

FOLDER = Path(mina_ops.app.clients.__file__).parent


def test_node_finds_the_client_by_its_package(node: Path) -> None:
    script = f"const M = require({json.dumps(str(FOLDER))}); console.log(typeof M.connect)"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=30)
    assert done.stdout == "function\n", done.stderr


def test_what_the_package_names_is_there() -> None:
    package = json.loads((FOLDER / "package.json").read_text())
    for name in (package["main"], package["types"], *package["files"]):
        assert (FOLDER / name).is_file()


def test_each_member_that_the_types_name_exists(node: Path) -> None:
    types = (FOLDER / "mina-stream.d.ts").read_text()
    socket = types[types.index("class MovingSocket") :]
    names = set(re.findall(r"^ {4}(?:readonly )?(\w+)[(?:]", socket, re.M))
    assert {"on", "emit", "connected", "recovered", "moves"} <= names
    script = f"""
        const {{ MovingSocket }} = require({json.dumps(str(FOLDER))});
        const own = ["recovered", "moves"];
        const missing = {json.dumps(sorted(names))}.filter(
          (name) => !own.includes(name) && !(name in MovingSocket.prototype));
        console.log(JSON.stringify(missing));
    """
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout) == [], done.stderr
