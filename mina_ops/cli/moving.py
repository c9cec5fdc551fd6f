"""What every command does before it moves traffic: it takes the lock of the site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import Locked

if TYPE_CHECKING:
    from mina_ops.operator.traffic.site_lock import SiteLock


class _ControllersLock:
    """The lock of this load balancer, held by a controller on another machine that runs us here."""

    def __init__(self, session: Session, lock_id: str) -> None:
        self._session = session
        self._id = lock_id

    def require_held(self) -> None:
        """Return unless somebody else holds this load balancer."""
        from mina_ops.operator.traffic.site_lock import held_by

        held = self._session.driver.holder()
        if held is not None and held.id != self._id:
            raise Locked(held_by(held))


@contextmanager
def locked(
    session: Session, purpose: str, *, insist: bool = False, lock_id: str | None = None
) -> Iterator[SiteLock | _ControllersLock]:
    """Hold the site while the body moves traffic.

    Args:
        insist: move it although somebody else holds the site; it is said on stderr.
        lock_id: whoever runs this holds the site by this id.

    Raises:
        Locked: somebody else holds it.
    """
    if lock_id is not None:
        yield _ControllersLock(session, lock_id)
        return
    from mina_ops.operator.traffic.site_lock import Places, SiteLock

    with SiteLock(Places(session.settings, session.driver), purpose, insist=insist) as lock:
        if not lock.is_held:
            output.say(f"mina-ops: traffic moves without a lock. {' '.join(lock.failures)}")
        yield lock
