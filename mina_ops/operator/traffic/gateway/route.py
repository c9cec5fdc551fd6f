"""The site's HTTPRoutes: one with the split, which a switch replaces, and one for live sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mina_ops.errors import ConfigurationError, TrafficError
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.gateway import matching, rules
from mina_ops.operator.traffic.gateway.options import GatewayOptions
from mina_ops.operator.traffic.gateway.rules import Json, below, cookie, exact, like, rule
from mina_ops.operator.traffic.model import Split, require_colours
from mina_ops.operator.traffic.templates import fingerprint_of

VERSION = "gateway.networking.k8s.io/v1"
SPLIT = "mina-ops/split"
"""The annotation with the split, from which the rules of the same object are made."""
# Limits of the Gateway API for one HTTPRoute: rules, matches of a rule, and of all rules together,
# less those that are not about users.
_MOST_RULES = 16
_MOST_MATCHES = 64
_MOST_MATCHES_OF_USERS = 128 - 28
# Kubernetes' limit for all annotations of an object is 256 KiB.
_LONGEST_SPLIT = 250_000
# For what stands around the user ids in one match.
_ROOM = matching.LONGEST_VALUE - 200


class Routes:
    """Makes both HTTPRoutes of a site."""

    def __init__(self, settings: OperatorSettings, options: GatewayOptions) -> None:
        self._settings = settings
        self._options = options
        self._colours = list(settings.colours.values())

    def split(self, split: Split, testers: Mapping[str, str]) -> Json:
        """The route with the split.

        The order of its rules is that in which they count: the proof, pages that name their
        release, testers, users by name, sticky keys, everybody else.

        Args:
            testers: colour -> the value that sends a tester there.

        Raises:
            ConfigurationError: more users by name than an HTTPRoute holds.
        """
        made = [
            *self._releases(split),
            *self._testers(testers),
            *self._users(split),
            *self._keys(split),
            self._newcomers(split),
        ]
        text = json.dumps(split.to_json(), sort_keys=True, separators=(",", ":"))
        if len(text) > _LONGEST_SPLIT:
            raise _too_many(split)
        return self._route(self._options.route, rules.SPLIT_PROOF, made, {SPLIT: text})

    def sessions(self) -> Json:
        """The route that brings live sessions to where they are, whatever the split.

        Raises:
            ConfigurationError: there are more instances than an HTTPRoute has rules.
        """
        made = [rule for colour in self._colours for rule in self._sessions_of(colour)]
        others = len(self._colours) + 1
        if len(made) + 1 > _MOST_RULES:
            raise ConfigurationError(
                f"{self._settings.file}: traffic.gateway.session_service: an HTTPRoute has room "
                f"for {_MOST_RULES - others} instances with a Service of their own, "
                f"not {len(made) - len(self._colours)}; give one Service for each colour."
            )
        return self._route(self._options.sessions_route, rules.SESSIONS_PROOF, made, {})

    def _route(
        self, name: str, proof: str, made: list[Json], annotations: Mapping[str, str]
    ) -> Json:
        options = self._options
        parent: Json = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
        parent["name"] = options.gateway
        if options.gateway_namespace is not None:
            parent["namespace"] = options.gateway_namespace
        if options.listener is not None:
            parent["sectionName"] = options.listener
        metadata: Json = {"name": name, "labels": {"app.kubernetes.io/managed-by": "mina-ops"}}
        if annotations:
            metadata["annotations"] = dict(annotations)
        spec: Json = {"parentRefs": [parent], "rules": made}
        if options.hostnames:
            spec["hostnames"] = list(options.hostnames)
        # Of all that decides whether and how it is served.
        fingerprint = fingerprint_of(json.dumps([spec, annotations], sort_keys=True))
        spec["rules"] = [rules.proof(proof, fingerprint), *made]
        return {"apiVersion": VERSION, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}

    def _rule(self, matches: list[Json], colours: Mapping[str, int], **told: str) -> Json:
        services = {self._options.service_of(name): share for name, share in colours.items()}
        return rule(matches, services, self._options.port, **told)

    def _releases(self, split: Split) -> Iterator[Json]:
        """Pages that name their release, in a header or in the query.

        A query counts for less than any header, so it is asked for beside each header that a
        later rule asks for.
        """
        any_value = "^.*$"
        beside = [like(name, any_value) for name in self._told_apart_by()]
        for colour, release in split.releases.items():
            query = exact(rules.RELEASE_QUERY, release)
            matches = [below("/", header=exact(rules.RELEASE_HEADER, release))]
            matches += [below("/", header=header, query=query) for header in (*beside, None)]
            told = {} if split.percent[colour] else {"X_Mina_Elsewhere": "1"}
            yield self._rule(matches, {colour: 1}, **told)

    def _told_apart_by(self) -> list[str]:
        header = self._options.user_header
        return ["Cookie", rules.TESTER_HEADER, *([header] if header else [])]

    def _testers(self, testers: Mapping[str, str]) -> Iterator[Json]:
        for colour, value in testers.items():
            ways = exact(rules.TESTER_HEADER, value), cookie(rules.TESTER_COOKIE, value)
            yield self._rule([below("/", header=way) for way in ways], {colour: 1})

    def _users(self, split: Split) -> Iterator[Json]:
        room = _MOST_MATCHES_OF_USERS
        for colour in split.percent:
            named = [user for user, to in split.cohorts.items() if to == colour]
            parts = list(matching.users(named, _ROOM))
            room -= len(parts)
            if len(parts) > _MOST_MATCHES or room < 0:
                raise _too_many(split)
            if parts:
                matches = [below("/", header=self._user(part)) for part in parts]
                yield self._rule(matches, {colour: 1})

    def _user(self, alternatives: str) -> Json:
        options = self._options
        if options.user_cookie is not None:
            return cookie(options.user_cookie, alternatives)
        return like(str(options.user_header), f"^({alternatives})$")

    def _keys(self, split: Split) -> Iterator[Json]:
        """Who bears a sticky key: the second colour has the buckets below its percent."""
        for colour, (low, high) in _ranges(split).items():
            if low < high:
                key = cookie(self._options.cookie, matching.buckets(low, high))
                yield self._rule([below("/", header=key)], {colour: 1})

    def _newcomers(self, split: Split) -> Json:
        """Who bears no key is drawn by weight; the app gives a key that fits what was drawn."""
        options = self._options
        wish = [options.cookie, f"max-age={options.cookie_seconds}"]
        wish += [
            f"{alias}={low}-{high}"
            for name, (low, high) in _ranges(split).items()
            for alias in (name, *self._settings.colour(name).aliases)
        ]
        wish += [f"except={prefix}" for prefix in options.asset_prefixes]
        told = {"X_Mina_Sticky": "; ".join(wish)}
        return self._rule([rules.everything()], split.percent, **told)

    def _sessions_of(self, colour: Colour) -> Iterator[Json]:
        options, path = self._options, self._options.socketio_path
        names = list(colour.instances) if options.by_instance else []
        for name in names:
            sid = like("sid", matching.sid_of(colour.name, name))
            service = options.sessions_of(colour.name, name)
            yield rule([below(path, query=sid)], {service: 1}, options.port)
        if options.by_instance:
            service = options.service_of(colour.name)
        else:
            service = options.sessions_of(colour.name, "")
        # Last: an instance that is not listed, or has no Service of its own.
        sid = like("sid", matching.sid_of(colour.name))
        yield rule([below(path, query=sid)], {service: 1}, options.port)


def split_of(route: Mapping[str, Any], colours: list[str]) -> Split:
    """The split that a route was made for.

    Raises:
        TrafficError: it was not made by us, or for other colours.
    """
    name = route["metadata"]["name"]
    text = route["metadata"].get("annotations", {}).get(SPLIT)
    try:
        split = Split.from_json(json.loads(text or ""))
    except (ValueError, ConfigurationError) as exc:
        raise TrafficError(
            f"HTTPRoute {name} holds no split of ours; run `mina-ops traffic install`."
        ) from exc
    require_colours(f"HTTPRoute {name}", list(split.percent), colours)
    return split


def is_ours(route: Mapping[str, Any]) -> bool:
    """Whether a route bears a split of ours, whatever its rules say by now."""
    return SPLIT in (route["metadata"].get("annotations") or {})


def testers_of(route: Mapping[str, Any], colours: Mapping[str, str]) -> dict[str, str]:
    """Colour -> the value that sends a tester there, as a route has it.

    Args:
        colours: the Service of new visitors -> its colour.
    """
    return {
        colours[found["backendRefs"][0]["name"]]: header["value"]
        for found in route["spec"]["rules"]
        for match in found.get("matches") or []
        for header in match.get("headers") or []
        if (header["name"], header["type"]) == (rules.TESTER_HEADER, "Exact")
    }


def proof_of(route: Mapping[str, Any]) -> tuple[str, str] | None:
    """Path and fingerprint of a route's proof; None: it has none."""
    for one in route.get("spec", {}).get("rules", []):
        for found in one.get("filters") or []:
            host = str(found.get("requestRedirect", {}).get("hostname", ""))
            if host.endswith(rules.PROOF_DOMAIN):
                path = str(one["matches"][0]["path"]["value"])
                return path, host.removesuffix(rules.PROOF_DOMAIN)
    return None


def holds(found: Any, wanted: Any) -> bool:
    """Whether the API server has what was wanted; fields that it filled in are no difference."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and holds(found[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(holds(*pair) for pair in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)


def _too_many(split: Split) -> ConfigurationError:
    return ConfigurationError(
        f"An HTTPRoute has no room for {len(split.cohorts)} users by name with ids as long as "
        "these; use percent, or name fewer."
    )


def _ranges(split: Split) -> dict[str, tuple[int, int]]:
    first, second = split.percent
    share = split.percent[second]
    return {first: (share, matching.BUCKETS), second: (0, share)}
