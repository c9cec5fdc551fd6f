"""The check `disk_space`: how much room is left on the disk."""

from __future__ import annotations

import os

from mina_ops.app.health.model import Check, Unhealthy
from mina_ops.app.native import Native
from mina_ops.app.settings import Settings


def disk_check(settings: Settings, native: Native) -> Check:
    """Free space of `MINA_OPS_DISK_PATH`; below `MINA_OPS_DISK_FREE` percent is unhealthy."""

    def look() -> dict[str, float]:
        # A network's file system may hang in it.
        usage = native.call(os.statvfs, settings.disk_path)
        free = round(100 * usage.f_bavail / max(1, usage.f_blocks), 1)
        if free < settings.disk_free_percent:
            raise Unhealthy(
                f"{free:g} % of {settings.disk_path} is free, less than "
                f"{settings.disk_free_percent:g} %",
                data={"free_percent": free},
            )
        return {"free_percent": free}

    return Check(
        name="disk_space",
        run=look,
        ttl_seconds=15.0,
        shared=False,
        aliases=("disk",),
    )
