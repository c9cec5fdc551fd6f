"""What traffic should look like: a share for each colour, and users who are sent to one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from mina_ops.errors import ConfigurationError, TrafficError
from mina_ops.operator.traffic.mirror import Mirror

# A user id becomes the name of a file and part of a map's line: no slash, no blank, no leading
# dot. The load balancers check the ids of requests against the same pattern.
USER_ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9_@.:+-]{0,127}"
# A release's version is a file's name as well.
RELEASE_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
_RELEASE = re.compile(RELEASE_PATTERN)
_USER_ID = re.compile(USER_ID_PATTERN)
MOST_COHORT_USERS = 10_000


@dataclass(frozen=True)
class Split:
    """A share of new visitors for each colour, in whole percent that sum to 100.

    The order of `percent` matters: the second colour gets the buckets below its percent, so that
    raising a share moves nobody back. `cohorts` sends a user id to a colour, whatever the shares.
    `releases` names for a colour the release that it had visitors with, so that pages which name
    that release in their requests get it while it lives. `mirror` copies requests to a colour that
    has no visitors; whatever gives it some ends the mirror.

    Raises:
        ConfigurationError: a share is not a whole number from 0 to 100, the shares do not sum to
            100, a cohort has an unknown colour or an id that is not allowed, or a release has, or
            a mirror's colour has visitors.
    """

    percent: Mapping[str, int]
    cohorts: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[str, str] = field(default_factory=dict)
    mirror: Mirror | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "percent", MappingProxyType(dict(self.percent)))
        object.__setattr__(self, "cohorts", MappingProxyType(dict(sorted(self.cohorts.items()))))
        for colour, share in self.percent.items():
            if not _is_whole(share) or not 0 <= share <= 100:
                raise ConfigurationError(
                    f"{share!r} percent for {colour}: give a whole number from 0 to 100."
                )
        if len(self.percent) != 2 or sum(self.percent.values()) != 100:
            raise ConfigurationError(
                f"The shares of two colours must sum to 100 percent, not {self.describe()}."
            )
        _check_cohorts(self.cohorts, self.percent)
        object.__setattr__(self, "releases", MappingProxyType(dict(sorted(self.releases.items()))))
        for colour, release in self.releases.items():
            self._known(colour)
            if not is_release(release):
                raise ConfigurationError(f"{release!r} cannot be the name of a release here.")
        if len(set(self.releases.values())) < len(self.releases):
            raise ConfigurationError(f"Both colours run {release}: pages cannot tell them apart.")
        self._check_mirror()

    @classmethod
    def all_to(cls, colour: str, colours: Iterable[str]) -> Split:
        """Everything to one of the colours, no cohorts."""
        return cls({name: 100 if name == colour else 0 for name in colours})

    @classmethod
    def from_json(cls, value: Any) -> Split:
        """The split that `to_json` wrote.

        Raises:
            ConfigurationError: it is no such thing.
        """
        try:
            cohorts, releases = (dict(value.get(key, {})) for key in ("cohorts", "releases"))
            found = value.get("mirror")
            mirror = None if found is None else Mirror.from_json(found)
            return cls(dict(value["percent"]), cohorts, releases, mirror)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ConfigurationError(
                'A split looks like {"percent": {"blue": 90, "green": 10}, "cohorts": {}}.'
            ) from exc

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        value: dict[str, Any] = {"percent": dict(self.percent), "cohorts": dict(self.cohorts)}
        if self.releases:
            value["releases"] = dict(self.releases)
        return value if self.mirror is None else {**value, "mirror": self.mirror.to_json()}

    def giving(self, colour: str, percent: int) -> Split:
        """The same cohorts, with that percent for one colour and the rest for the other; no mirror.

        Whoever moves traffic ends a mirror, of which he may know nothing.
        """
        self._known(colour)
        shares = {name: percent if name == colour else 100 - percent for name in self.percent}
        return replace(self, percent=shares, mirror=None)

    def with_cohort(self, users: Iterable[str], colour: str | None) -> Split:
        """These users sent to a colour, or with None sorted like everybody else; no mirror."""
        cohorts = dict(self.cohorts)
        for user in users:
            if colour is None:
                cohorts.pop(user, None)
            else:
                self._known(colour)
                cohorts[user] = colour
        return replace(self, cohorts=cohorts, mirror=None)

    def without_cohorts(self) -> Split:
        """The same shares and nobody sent by name."""
        return replace(self, cohorts={})

    def mirrored(self, mirror: Mirror | None) -> Split:
        """The same, with requests copied as told; None: none are."""
        return replace(self, mirror=mirror)

    def serves(self, colour: str) -> bool:
        """Whether any new visitor can reach this colour."""
        return self.percent.get(colour, 0) > 0 or colour in self.cohorts.values()

    def describe(self) -> str:
        """As a person says it: "blue 90 %, green 10 %, 3 users by name"."""
        shares = ", ".join(f"{name} {share} %" for name, share in self.percent.items())
        by_name = f", {len(self.cohorts)} users by name" if self.cohorts else ""
        return shares + by_name + ("" if self.mirror is None else f", {self.mirror.describe()}")

    def _check_mirror(self) -> None:
        if self.mirror is None:
            return
        self._known(self.mirror.to)
        if self.serves(self.mirror.to):
            raise ConfigurationError(
                f"{self.mirror.to} has visitors of its own: nothing is mirrored to it."
            )

    def _known(self, colour: str) -> None:
        if colour not in self.percent:
            raise ConfigurationError(f"No colour {colour!r}; there are {', '.join(self.percent)}.")


def require_colours(name: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Return if a load balancer shares traffic between the colours of mina-ops.toml.

    Raises:
        TrafficError: it does so between others, as after a slip in the file.
    """
    if list(found) != list(wanted):
        raise TrafficError(
            f"{name} shares traffic between {' and '.join(found)}; mina-ops.toml has "
            f"{' and '.join(wanted)}, in that order. Correct the file."
        )


def is_release(name: object) -> bool:
    """Whether a page may name a release so: it becomes a file's name and a map's key."""
    return isinstance(name, str) and _RELEASE.fullmatch(name) is not None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_cohorts(cohorts: Mapping[str, str], colours: Mapping[str, int]) -> None:
    if len(cohorts) > MOST_COHORT_USERS:
        raise ConfigurationError(
            f"{len(cohorts)} users by name are too many, at most {MOST_COHORT_USERS}; use percent."
        )
    for user, colour in cohorts.items():
        if not isinstance(user, str) or not _USER_ID.fullmatch(user):
            raise ConfigurationError(
                f"{user!r} cannot be a user id here: up to 128 letters, digits and _@.:+- that "
                "start with a letter or digit."
            )
        if colour not in colours:
            raise ConfigurationError(
                f"User {user} is sent to {colour!r}; there are {', '.join(colours)}."
            )
