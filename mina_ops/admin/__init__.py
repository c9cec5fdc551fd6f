"""Who may change things, and the record of who did."""

from __future__ import annotations

from mina_ops.admin.archive import Archive
from mina_ops.admin.audit import Audit
from mina_ops.admin.auth import Guard
from mina_ops.admin.part import Admin

__all__ = ["Admin", "Archive", "Audit", "Guard"]
