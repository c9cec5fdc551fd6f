"""One site, one lock: whoever moves its traffic holds it, from wherever the command is typed.

It is held in two places. The lease in the app's shared store is one for the site, whatever machine
and folder a command runs in. The record beside the load balancer's state holds while the app is
away. Two copies of mina-ops.toml therefore meet in one of them at least.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from mina_ops.errors import Locked, MinaOpsError
from mina_ops.operator.api.leases import SITE, TTL_SECONDS, Holder, Leases
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system.people import whoami
from mina_ops.operator.traffic.base import TrafficDriver

_WAIT_SECONDS = 2.0
_POLL_SECONDS = 0.1
_RENEWALS_PER_TTL = 3
_LONGEST_TEXT = 200


class Places:
    """The two places in which a site is held; each method asks both."""

    def __init__(self, settings: OperatorSettings, driver: TrafficDriver) -> None:
        leases = Leases(settings, SITE)
        self._takes = (driver.hold, leases.take)
        self._frees = (driver.free, leases.free)
        self._holders = {"load_balancer": driver.holder, "app": leases.holder}
        self._breaks = (driver.free, partial(leases.free, breaking=True))

    def take(self, mine: Holder) -> Taken:
        """Hold all that can be asked for `mine`, or none where somebody else holds one."""
        held, failures = 0, []
        recorded = False
        for take in self._takes:
            try:
                holder = take(mine)
            except MinaOpsError as error:
                failures.append(str(error))
                continue
            if holder is not None and holder.id != mine.id:
                self.free(mine.id)
                return Taken(0, holder, failures)
            held += holder is not None
            recorded = recorded or (holder is not None and take is self._takes[0])
        return Taken(held, None, failures, recorded=recorded)

    def recorded(self, mine: Holder) -> Holder | None:
        """Whom the load balancer's own record names, quickly; `mine` where it cannot be asked.

        The app is not asked: it may hang, and this is asked before each move, the way back too.
        """
        try:
            return self._holders["load_balancer"]()
        except MinaOpsError:
            return mine

    def free(self, lease_id: str) -> None:
        """Give back what that id holds."""
        for free in self._frees:
            with suppress(MinaOpsError):
                free(lease_id)

    def break_(self, lease_id: str) -> list[str]:
        """Take back what that id holds, on record; why a place could not be asked."""
        failures = []
        for free in self._breaks:
            try:
                free(lease_id)
            except MinaOpsError as error:
                failures.append(str(error))
        return failures

    def holders(self) -> dict[str, Holder | str | None]:
        """Place -> who holds it, None for nobody, or a sentence why it cannot be asked."""
        found: dict[str, Holder | str | None] = {}
        for name, ask in self._holders.items():
            try:
                found[name] = ask()
            except MinaOpsError as error:
                found[name] = str(error)
        return found


@dataclass(frozen=True)
class Taken:
    """In how many places it is held, who else holds it, and why a place could not be asked.

    `recorded`: the load balancer's own record, which can be asked quickly, is one of them.
    """

    places: int
    other: Holder | None
    failures: list[str]
    recorded: bool = False


class SiteLock:
    """A context manager that holds the site while traffic is moved, and renews what it holds.

    A holder whose process has ended on this machine is no obstacle. A place that cannot be asked
    is none either, and is named in `failures`: the way back must not depend on the app.

    Args:
        purpose: for people who find it held, as "switch blue green --instant".
        insist: go on without what somebody else holds, who is named in `failures` then.
        take_over: take it from whoever holds it, on record; that one learns it before its next
            move. Where it cannot be taken, go on as with `insist`.
        wait_seconds: how long to wait for somebody who holds it.

    Raises on entering:
        Locked: somebody else held it all the time; the message says who and since when.
    """

    def __init__(
        self,
        places: Places,
        purpose: str,
        *,
        insist: bool = False,
        take_over: bool = False,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        self.mine = new_holder(purpose)
        self.is_held = False
        self.failures: list[str] = []
        self._places = places
        self._insist = insist or take_over
        self._take_over = take_over
        self._wait_seconds = wait_seconds
        self._lost = ""
        self._recorded_at: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="mina_ops-site-lock", daemon=True)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._wait_seconds
        take_over = self._take_over
        while (other := (taken := self._places.take(self.mine)).other) is not None:
            if take_over or is_dead(other):
                # Once by force: where that does not help, there is nothing more to be done.
                take_over = False
                failures = self._places.break_(other.id)
                if not failures:
                    continue
            if self._insist:
                self.failures = [held_by(other)]
                return self
            if time.monotonic() > deadline:
                raise Locked(held_by(other))
            time.sleep(_POLL_SECONDS)
        self.is_held, self.failures = taken.places > 0, taken.failures
        self._note(taken)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
            self._places.free(self.mine.id)

    def require_held(self) -> None:
        """Return unless it was broken or taken since, as after a pause longer than its time.

        Raises:
            Locked: it was; nothing may be changed any more.
        """
        self._look()
        if self._lost:
            raise Locked(self._lost)

    def _renew(self) -> None:
        while not self._stop.wait(self.mine.ttl_seconds / _RENEWALS_PER_TTL):
            self._look()
            if not self._lost:
                self._note(self._places.take(self.mine))

    def _note(self, taken: Taken) -> None:
        self._recorded_at = time.monotonic() if taken.recorded else None
        if taken.other is not None:
            self._lost = f"The lock was lost meanwhile. {held_by(taken.other)}"

    def _look(self) -> None:
        """Notice that the record was removed or names somebody else before its time was up."""
        since = self._recorded_at
        if self._lost or since is None or time.monotonic() - since >= self.mine.ttl_seconds:
            return
        named = self._places.recorded(self.mine)
        if named is None:
            self._lost = "The lock was broken meanwhile, see `mina-ops lock`; nothing more is done."
        elif named.id != self.mine.id:
            self._lost = f"The lock was lost meanwhile. {held_by(named)}"


def new_holder(
    purpose: str, *, ttl_seconds: float = TTL_SECONDS, outlives_process: bool = False
) -> Holder:
    """This process, or the person who runs it, as a holder.

    The id of a process begins with the place where its number means something.
    """
    name = uuid.uuid4().hex
    return Holder(
        id=name if outlives_process else f"{_place()}-{name}",
        purpose=_printable(purpose),
        user=_printable(whoami()),
        host=_printable(socket.gethostname()),
        pid=0 if outlives_process else os.getpid(),
        ttl_seconds=ttl_seconds,
    )


def is_dead(holder: Holder) -> bool:
    """Whether its process has ended, as far as this one can see: same boot, same process ids."""
    if not holder.id.startswith(f"{_place()}-"):
        return False
    # Loaded when it is needed: seldom, and it takes a tenth of a switch.
    import psutil

    return not psutil.pid_exists(holder.pid)


def held_by(holder: Holder) -> str:
    """Who holds the site, as a sentence."""
    since = time.strftime("%H:%M:%S", time.localtime(holder.since))
    process = f", process {holder.pid}" if holder.pid else ""
    return (
        f"{holder.purpose or 'Somebody'} has the site: {holder.user} on {holder.host}{process}, "
        f"since {since}. See `mina-ops lock`; `mina-ops lock break` takes it away."
    )


def _place() -> str:
    """A name for this boot and its process ids: a container has its own."""
    names = []
    with suppress(OSError):
        names.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        names.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("".join(names or [socket.gethostname()]).encode()).hexdigest()[:8]


def _printable(text: str) -> str:
    """What a lease's text may hold: no control character, nothing beyond the basic plane."""
    return "".join(c if " " <= c <= "~" or "\xa0" <= c <= "\ud7ff" else "?" for c in text)[
        :_LONGEST_TEXT
    ]
