"""Feature flags that both colours share: answered from memory, changed in one step."""

from __future__ import annotations

from mina_ops.app.flags.caller import Caller
from mina_ops.app.flags.component import Flags
from mina_ops.app.flags.evaluate import Undecided
from mina_ops.app.flags.required import flag_required

__all__ = ["Caller", "Flags", "Undecided", "flag_required"]
