"""Names of everything that is shared. All begin `mina:`; a colour's own, `mina:env:<colour>:`.

Braces are Redis Cluster hash tags: keys that one command reads together share a tag.
"""

from __future__ import annotations

FLAGS = "mina:{flags}"
FLAGS_LOG = "mina:{flags}:log"
FLAGS_HINT = "mina:hint:flags"
FLAGS_KEPT = "mina:{flags}:kept"
"""What processes know of the flags while the register has lost it; fades after a minute."""
FLAGS_KEPT_LEASE = "mina:{flags}:kept:lease"
FLAGS_APPLIED = "mina:{flags}:applied"
"""Roster of who applied which version; a beat's presence says it too, but later."""
AUDIT_LOG = "mina:audit"
REFUSED_LOG = "mina:audit:refused"
"""Who was refused: apart, so that a flood of them pushes no change out of the audit log."""
TOKENS = "mina:tokens"
"""The bearer tokens that admins made: id -> what it may do, with the digest of its secret."""
SITES = "mina:sites"
"""Roster of the sites that use these names: one, if all is well."""


def presence(environment: str) -> str:
    """Roster of a colour's live processes."""
    return f"mina:env:{environment}:presence:{{{environment}}}"


def summary(environment: str) -> str:
    """What the live processes of a colour say, merged into one small document."""
    return f"mina:env:{environment}:summary:{{{environment}}}"


def summary_lease(environment: str) -> str:
    """The process of a colour that makes the summary at present."""
    return f"mina:env:{environment}:summary:{{{environment}}}:lease"


def workers(environment: str) -> str:
    """Roster of a colour's processes that serve no requests and ask for flags."""
    return f"mina:env:{environment}:workers:{{{environment}}}"


def drain_order(environment: str) -> str:
    """The drain order of a colour."""
    return f"mina:env:{environment}:drain"


def drain_clients(environment: str, order_id: str) -> str:
    """Tally of whom a drain sent away, and of who came to another colour meanwhile."""
    return f"mina:env:{environment}:drain:{{{environment}}}:{order_id}:clients"


def drain_hint(environment: str) -> str:
    """Channel that tells of a new drain order."""
    return f"mina:hint:drain:{environment}"


def metrics_slice(environment: str, start: int, seconds: int) -> str:
    """Tally of a colour's time slice: its start in seconds since the epoch, and its length."""
    return f"mina:env:{environment}:metrics:{{{environment}}}:{seconds}:{start}"


def metrics_total(environment: str, version: str) -> str:
    """Tally of all that a colour counted under one release."""
    return f"mina:env:{environment}:metrics:{{{environment}}}:total:{version}"


def minute(environment: str, start: int) -> str:
    """What one process of a colour left of a minute that metrics do not keep."""
    return f"mina:env:{environment}:minute:{{{environment}}}:{start}"


def health_mark(environment: str) -> str:
    """What the redis check writes, to see that the store takes writes."""
    return f"mina:env:{environment}:health"


def stream_mark(stream: str) -> str:
    """Last acknowledged number of a client's stream."""
    return f"mina:stream:{stream}"


RELEASES = "mina:releases"
"""Ids of the releases that were reported, the newest first."""


RELEASE = "mina:release"
"""How the release that was reported last stands, in short, for every process's metrics."""


FREEZE = "mina:freeze"
"""Who froze releases, and why; while it is there, none starts."""


def release(release_id: str) -> str:
    """What its controller reported last of a release."""
    return f"mina:release:{release_id}"


def release_requests(release_id: str) -> str:
    """Log of what others ask of a release's controller."""
    return f"mina:release:{release_id}:requests"


def lease(name: str) -> str:
    """Who holds the lease of that name."""
    return f"mina:lease:{name}"


def run_of(mark: str) -> str:
    """Which life of a client sends the stream of this mark."""
    return f"{mark}:run"


def keeper_of(mark: str) -> str:
    """The process in which the stream of this mark is still in work."""
    return f"{mark}:kept"


RECOVERY_EPOCH = "mina:recovery:epoch"
"""Names this life of what recovery keeps: it is gone with the rest when a store is emptied."""


def recovery_state(pid: str) -> str:
    """Rooms and session of a client that may come back."""
    return f"mina:recovery:state:{pid}"


def room_log(namespace: str, room: str) -> str:
    """The last events that were sent to a room; "" is everybody in the namespace."""
    return f"mina:recovery:log:{{{namespace} {room}}}"


def token_use(token_id: str) -> str:
    """When a bearer token was last used."""
    return f"mina:token:{token_id}:used"


def of_member(roster: str, member: str) -> str:
    """What a member of a roster wrote, beside the roster itself."""
    return f"{roster}:{member}"
