"""A host's app that no request reaches: a worker, a forked child or a command asks its flags.

Run as a script it obeys lines: `ask` prints a flag, `fork` goes on in a child, `tell` counts an
outcome. `flask --app tests.support.worker_host ask` is a command of the host.
"""

from __future__ import annotations

import os
import sys

import click
from flask import Flask

from mina_ops import MinaOps

app = Flask(__name__)
ops = MinaOps(app)


@app.cli.command("ask")
def ask() -> None:
    """Print a flag, and tell an outcome."""
    ops.outcome("transcription").success()
    click.echo(ops.flags.is_enabled("audio"))


def main() -> None:
    """Obey standard input."""
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "ask\n":
            print(ops.flags.is_enabled("audio"), flush=True)
        elif line == "tell\n":
            ops.outcome("transcription").success()
            print("told", flush=True)
        elif line == "fork\n" and (child := os.fork()):
            os.waitpid(child, 0)
            return


if __name__ == "__main__":
    main()
