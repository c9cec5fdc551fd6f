"""The manifests of a site behind a Gateway: against the APIs' definitions, and each other."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from mina_ops import MinaOps
from mina_ops.demo.programs import node
from mina_ops.operator.config import settings
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.gateway.options import read_options
from tests.support.needs import missing, need

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployment/kubernetes/gateway"
Json = dict[str, Any]


def of(name: str) -> list[Json]:
    return [one for one in yaml.safe_load_all((FOLDER / f"{name}.yml").read_text()) if one]


ALL = [(file.stem, one) for file in sorted(FOLDER.glob("*.yml")) for one in of(file.stem)]
PODS = [one for _, one in ALL if one["kind"] in ("Deployment", "StatefulSet")]


def refusals(objects: list[Json]) -> list[str]:
    """What the definitions of the Gateway API and of Kubernetes say against each object."""
    if not (ROOT / "node_modules/@kubernetes-models/gateway-api").exists():
        missing("npm's @kubernetes-models/gateway-api is not installed")
    argv = [need(node), ROOT / "tests/deployment/validate.mjs"]
    done = programs.run(argv, text_in=json.dumps(objects))
    assert done.ok, done.stderr
    return list(json.loads(done.stdout))


def test_every_manifest_is_what_its_api_defines() -> None:
    objects = [one for _, one in ALL]
    wrong = copy.deepcopy(of("httproutes")[1])
    wrong["spec"]["rules"][-1]["backendRefs"][0]["weight"] = -1
    *shipped, refused = refusals([*objects, wrong])
    assert shipped == [""] * len(objects)
    assert "weight" in refused


def test_the_shipped_routes_are_what_the_driver_renders() -> None:
    rendered = "".join(open_driver(settings.load(FOLDER / "mina-ops.toml")).render().values())
    assert (FOLDER / "httproutes.yml").read_text() == rendered, (
        "mina-ops --config deployment/kubernetes/gateway/mina-ops.toml traffic render "
        "> deployment/kubernetes/gateway/httproutes.yml"
    )


def test_every_service_of_the_routes_is_there_with_its_port() -> None:
    there = {
        one["metadata"]["name"]: [port["port"] for port in one["spec"]["ports"]]
        for one in of("statefulsets")
        if one["kind"] == "Service"
    }
    for route in of("httproutes"):
        for rule in route["spec"]["rules"]:
            for to in rule.get("backendRefs", []):
                assert to["port"] in there[to["name"]]


def test_the_role_names_the_objects_that_the_driver_changes() -> None:
    options = read_options(settings.load(FOLDER / "mina-ops.toml").section("traffic", "gateway"))
    role = next(one for one in of("rbac") if one["kind"] == "Role")
    named = {name for rule in role["rules"] for name in rule.get("resourceNames", [])}
    assert named == {options.route, options.sessions_route, f"mina-ops-{options.route}"}
    asked = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert asked == {"httproutes", "gateways", "services", "endpointslices", "leases"}


@pytest.mark.parametrize("pods", PODS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_pod_has_the_time_to_drain_that_it_was_promised(pods: Json) -> None:
    spec = pods["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    given = {one["name"]: one.get("value") for one in container["env"]}
    sleep, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    grace = int(given["MINA_OPS_SIGTERM_GRACE"])
    timeout = int(container["args"][container["args"].index("--graceful-timeout") + 1])
    assert grace < timeout
    assert int(seconds) + timeout < spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("pods", PODS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_every_probe_of_a_pod_is_answered(pods: Json) -> None:
    (container,) = pods["spec"]["template"]["spec"]["containers"]
    app = Flask(__name__)
    MinaOps(app)
    client = app.test_client()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert client.get(container[probe]["httpGet"]["path"]).status_code in (200, 503)
    app.extensions["mina_ops"].heartbeat.stop()


def test_pods_keep_idle_connections_for_longer_than_traefik_does() -> None:
    for one in PODS:
        args = one["spec"]["template"]["spec"]["containers"][0]["args"]
        assert float(args[args.index("--keep-alive") + 1]) > 90
