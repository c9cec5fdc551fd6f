"""Who may do what, by the Roles that we ship: so that a test fails where one allows too little."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.kubernetes.objects import Key
from tests.support.kubernetes.server import Allows

Json = dict[str, Any]


def allowing(tokens: Container[str], manifests: Path) -> Allows:
    """The Role in some manifests for some tokens; every other token may do everything."""
    found = [one for one in yaml.safe_load_all(manifests.read_text()) if one["kind"] == "Role"]

    def allows(given: str, verb: str, key: Key) -> bool:
        if given not in tokens:
            return True
        return any(
            role["metadata"]["namespace"] == key[1] and _grants(role["rules"], verb, key)
            for role in found
        )

    return allows


def _grants(rules: Sequence[Json], verb: str, key: Key) -> bool:
    version, _, plural = key[0].rpartition("/")
    group = version.rpartition("/")[0]
    return any(
        group in rule["apiGroups"]
        and plural in rule["resources"]
        and verb in rule["verbs"]
        and ("resourceNames" not in rule or key[2] in rule["resourceNames"])
        for rule in rules
    )
