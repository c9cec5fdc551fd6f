"""One process of an app that notes when it answers with each version: `_flag_follower.py URL`.

Says `ready`; at the end of its standard input it prints version -> monotonic nanoseconds.
"""

from __future__ import annotations

import json
import sys
import time

from flask import Flask

from mina_ops import MinaOps


def main(redis_url: str) -> None:
    """Follow the flags until standard input ends."""
    app = Flask(__name__)
    app.config.update(REDIS_URL=redis_url, MINA_OPS_REDIS_TIMEOUT=1.0, APP_VERSION="v2.5.0")
    ops = MinaOps(app)
    flags, runtime = ops.flags, ops.runtime
    seen: dict[int, int] = {}
    follow = flags.cache._on_change

    def note(snapshot: object) -> None:
        follow(snapshot)  # type: ignore[arg-type]
        seen.setdefault(flags.cache.applied[1], time.monotonic_ns())

    flags.cache._on_change = note
    runtime.heartbeat.start()
    while runtime.heartbeat.beats < 2:
        time.sleep(0.05)
    print("ready", flush=True)
    sys.stdin.read()
    runtime.heartbeat.stop()
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
