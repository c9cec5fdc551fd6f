"""Who may change things, and the record of who did."""

from __future__ import annotations

from mina_ops.app.admin.archive import Archive
from mina_ops.app.admin.audit import Audit
from mina_ops.app.admin.auth import Guard
from mina_ops.app.admin.component import Admin

__all__ = ["Admin", "Archive", "Audit", "Guard"]
