"""What traffic should look like: a share for each colour, and users who are sent to one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from mina_ops.errors import ConfigurationError, TrafficError

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
    that release in their requests get it while it lives.

    Raises:
        ConfigurationError: a share is not a whole number from 0 to 100, the shares do not sum to
            100, a cohort has an unknown colour or an id that is not allowed, or a release has.
    """

    percent: Mapping[str, int]
    cohorts: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[str, str] = field(default_factory=dict)

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
            optional = (dict(value.get(key, {})) for key in ("cohorts", "releases"))
            return cls(dict(value["percent"]), *optional)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ConfigurationError(
                'A split looks like {"percent": {"blue": 90, "green": 10}, "cohorts": {}}.'
            ) from exc

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        value = {"percent": dict(self.percent), "cohorts": dict(self.cohorts)}
        return {**value, **({"releases": dict(self.releases)} if self.releases else {})}

    def giving(self, colour: str, percent: int) -> Split:
        """The same cohorts, with that percent for one colour and the rest for the other."""
        self._known(colour)
        shares = {name: percent if name == colour else 100 - percent for name in self.percent}
        return replace(self, percent=shares)

    def with_cohort(self, users: Iterable[str], colour: str | None) -> Split:
        """These users sent to a colour, or with None sorted like everybody else again."""
        cohorts = dict(self.cohorts)
        for user in users:
            if colour is None:
                cohorts.pop(user, None)
            else:
                self._known(colour)
                cohorts[user] = colour
        return replace(self, cohorts=cohorts)

    def without_cohorts(self) -> Split:
        """The same shares and nobody sent by name."""
        return replace(self, cohorts={})

    def serves(self, colour: str) -> bool:
        """Whether any new visitor can reach this colour."""
        return self.percent.get(colour, 0) > 0 or colour in self.cohorts.values()

    def describe(self) -> str:
        """As a person says it: "blue 90 %, green 10 %, 3 users by name"."""
        shares = ", ".join(f"{name} {share} %" for name, share in self.percent.items())
        return f"{shares}, {len(self.cohorts)} users by name" if self.cohorts else shares

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
