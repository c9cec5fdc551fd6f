"""The traffic port: what every load balancer's driver promises.

No driver assumes that the load balancer did what it was told: `read` asks it, and `apply` returns
only when the load balancer's own answer shows the new split.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mina_ops.errors import TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.state_lock import StateLock


@dataclass(frozen=True)
class Reading:
    """What the load balancer does now.

    `generation` grows with every applied split; `detail` holds what else the driver can tell,
    as plain JSON values. `proven` is False where a platform gives no way to ask, so that the
    split is only what it was told last.
    """

    split: Split
    generation: int
    proven: bool = True
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def left_behind(self) -> Mapping[str, str]:
        """Those of several load balancers that do not answer, or do something else: name -> why."""
        return dict(self.detail.get("left_behind", {}))

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        return {
            "split": self.split.to_json(),
            "generation": self.generation,
            "proven": self.proven,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True)
class Applied:
    """An applied split: what was served before and after, and milliseconds until it was proven."""

    before: Split
    after: Reading
    milliseconds: float


class TrafficDriver(ABC):
    """A load balancer that shares new visitors between two colours.

    All drivers keep these promises:

    - Requests that bear a session id go to the instance that made it, whatever the split.
    - A visitor keeps the colour while percentages stand, and raising one moves nobody back.
    - New handshakes that a colour refuses (503) are passed on to the other one.
    - No request fails because of a switch.
    - Where requests are mirrored, nobody gets or waits for an answer of the colour that gets the
      copies, and a mirror ends by itself.
    """

    name: str

    @abstractmethod
    def check(self) -> list[str]:
        """What is wrong with the set-up, one sentence each with what to do; [] if it is ready.

        Changes nothing. Blocks up to 5 seconds for each load balancer.

        Raises:
            ToolMissing: a program that the driver needs is not installed.
        """

    @abstractmethod
    def read(self) -> Reading:
        """What the load balancer really does, asked of it now.

        Raises:
            TrafficError: it does not answer, or several of them do different things; the
                message names which.
        """

    @abstractmethod
    def apply(self, split: Split) -> Applied:
        """Make new visitors follow `split`; returns when the load balancer was seen to do so.

        All or nothing: on an error the earlier split is served, also after a SIGKILL at any
        moment. Idempotent, but that a split with a mirror starts the mirror's time anew. One at a
        time: a second caller waits up to 10 seconds for the first.

        Raises:
            ConfigurationError: it cannot do that at all, as mirror requests; nothing was changed.
            TrafficError: it did not follow; traffic is as it was before. Where even going back
                failed, the message names the load balancers that stay behind.
            ToolMissing: a program that the driver needs is not installed.
        """

    def read_reachable(self) -> Reading:
        """Like `read`, where one of several load balancers may be silent or differ.

        `left_behind` names those.

        Raises:
            TrafficError: none answers.
        """
        return self.read()

    def apply_to_reachable(self, split: Split) -> Applied:
        """Like `apply`, for the way back: one of several that is silent does not stop the others.

        `after.left_behind` names those that did not follow. They must not serve before they have
        caught up (`mina-ops traffic catch-up`).

        Raises:
            TrafficError: none answers, or one that answers did not follow.
        """
        return self.apply(split)

    def keep(self, split: Split) -> None:
        """Let the load balancer of this host begin with `split` when it is started.

        Raises:
            TrafficError: it cannot be written, or is not kept on this host.
        """
        raise TrafficError(f"{self.name} keeps no split on this host; apply it where it runs.")

    @abstractmethod
    def plan(self, split: Split) -> list[str]:
        """What `apply` would do, as lines for a person; commands are quoted for a shell.

        Raises:
            ConfigurationError: it cannot do that at all.
        """

    def hold(self, mine: Holder) -> Holder | None:
        """Hold the lock beside its state for `mine`, which again by the same id renews it.

        Returns:
            Who holds it now; None where there is no such place.

        Raises:
            TrafficError: the place cannot be asked. So do the next two.
        """
        lock = self._state_lock()
        return None if lock is None else lock.hold(mine)

    def free(self, lease_id: str) -> None:
        """Give the lock back; nothing happens unless `lease_id` holds it."""
        lock = self._state_lock()
        if lock is not None:
            lock.free(lease_id)

    def holder(self) -> Holder | None:
        """Who holds the lock beside its state; None: nobody."""
        lock = self._state_lock()
        return None if lock is None else lock.holder()

    def _state_lock(self) -> StateLock | None:
        """The lock beside this load balancer's state, where that is on this host."""
        return None

    def sessions(self) -> int | None:
        """Websockets that it can carry at once; None where it does not say."""
        return None

    def long_requests(self, colour: str) -> int | None:
        """Requests that the colour's instances have been at for a second, tunnels included.

        Those of the load balancer's processes that serve now; None where it cannot tell colours
        apart, as nginx.

        Raises:
            TrafficError: it does not answer.
        """
        return None

    def render(self) -> dict[str, str]:
        """The load balancer's configuration: path -> text; {} where the driver has none."""
        return {}

    def install(self) -> list[str]:
        """Write the configuration and have it loaded; says what was done, [] if nothing had to.

        Needed once, and again when instances change. The traffic split is kept. Proves that the
        new configuration is what serves; else the earlier one is put back.

        Raises:
            TrafficError: the configuration was refused or is not what serves.
            ToolMissing: the load balancer's program is not installed.
        """
        return []

    def take_over(self) -> list[str]:
        """As `install`, and what others own of the configuration becomes ours.

        The same as `install` where nobody else can own a part of it.
        """
        return self.install()
