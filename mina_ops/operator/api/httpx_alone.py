"""httpx without its own command line, which would load rich and pygments: a third of its start.

`httpx` imports `httpx._main` if it can and goes on without where it cannot, as it does where its
extra `cli` is not installed. A name that `sys.modules` maps to None cannot be imported. Commands
such as `mina-ops switch` are run by people in a hurry, on machines that are busy.
"""

from __future__ import annotations

import sys

# Unless somebody has loaded it already.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402 - after the line above

__all__ = ["httpx"]
