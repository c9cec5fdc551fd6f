"""The keys of everything that is shared.

All begin with `mina:`, those of one colour with `mina:env:<colour>:`.

Braces are Redis Cluster hash tags: keys that one command reads together share a tag.

All that each process reads on each beat has the tag of the flags. So a beat is one round trip to
one node: 2,000 processes that asked each of three nodes would cost three times as much.
"""

from __future__ import annotations

FLAGS = "mina:{flags}"
FLAGS_LOG = "mina:{flags}:log"
FLAGS_HINT = "mina:hint:flags"
FLAGS_KEPT = "mina:{flags}:kept"
"""The flags as processes remember them, after the store lost the register; expires in a minute."""
FLAGS_KEPT_LEASE = "mina:{flags}:kept:lease"
FLAGS_APPLIED = "mina:{flags}:applied"
"""Roster of the processes with the version of the flags that each has applied."""
AUDIT_LOG = "mina:audit"
REFUSED_LOG = "mina:audit:refused"
"""Log of refused callers. Apart, so that a flood of them pushes no change out of `AUDIT_LOG`."""
TOKENS = "mina:{flags}:tokens"
"""The bearer tokens that admins made: id -> what it may do, with the digest of its secret."""
SITES = "mina:sites"
"""Roster of the sites that use this product's name; more than one is a mistake that is told."""


def presence(environment: str) -> str:
    """Roster of a colour's live processes."""
    return f"mina:env:{environment}:presence:{{flags}}"


def summary(environment: str) -> str:
    """The reports of a colour's live processes, merged into one small document."""
    return f"mina:env:{environment}:summary:{{flags}}"


def summary_lease(environment: str) -> str:
    """Which process of a colour makes the summary at present."""
    return f"mina:env:{environment}:summary:{{flags}}:lease"


def workers(environment: str) -> str:
    """Roster of a colour's processes that serve no requests and ask for flags."""
    return f"mina:env:{environment}:workers:{{{environment}}}"


def drain_order(environment: str) -> str:
    """The drain order of a colour."""
    return f"mina:env:{environment}:drain:{{flags}}"


def drain_clients(environment: str, order_id: str) -> str:
    """Tally of the clients that a drain closed, and of those that came to another colour since."""
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
    """How many live sessions a colour had in one minute, for the console's last hour."""
    return f"mina:env:{environment}:minute:{{{environment}}}:{start}"


def health_mark(environment: str) -> str:
    """A key that the redis check writes, to see whether the store accepts writes."""
    return f"mina:env:{environment}:health"


def check_permit(environment: str, check: str, number: int) -> str:
    """Which process of a colour asks at present what a check asks; there are a few such permits."""
    return f"mina:env:{environment}:check:{{{environment}}}:{check}:permit:{number}"


def check_answer(environment: str, check: str, vantage: str) -> str:
    """What a check found lately from one vantage point (see `health.vantage`)."""
    return f"mina:env:{environment}:check:{{{environment}}}:{check}:answer:{vantage}"


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
    """A release as its controller reported it last."""
    return f"mina:release:{release_id}"


def release_requests(release_id: str) -> str:
    """Log of what others ask the controller of a release to do."""
    return f"mina:release:{release_id}:requests"


def lease(name: str) -> str:
    """Who holds the lease of that name."""
    return f"mina:lease:{name}"


def run_of(mark: str) -> str:
    """Which run of a client (a page load, say) sends the stream whose mark is this key."""
    return f"{mark}:run"


def keeper_of(mark: str) -> str:
    """The process that still handles chunks of the stream whose mark is this key."""
    return f"{mark}:kept"


RECOVERY_EPOCH = "mina:recovery:epoch"
"""Changes when the store was emptied: recovery then knows that its logs and states are gone."""


def recovery_state(pid: str) -> str:
    """Rooms and session data of a client that may come back."""
    return f"mina:recovery:state:{pid}"


def room_log(namespace: str, room: str) -> str:
    """The last events that were sent to a room; "" is everybody in the namespace."""
    return f"mina:recovery:log:{{{namespace} {room}}}"


def token_use(token_id: str) -> str:
    """When a bearer token was last used."""
    return f"mina:token:{token_id}:used"


def of_member(roster: str, member: str) -> str:
    """The value of one member of a roster, which expires by itself."""
    return f"{roster}:{member}"
