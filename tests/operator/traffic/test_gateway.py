"""What is a Gateway's own: owners of fields, its controller's words, pods, the cluster's lock."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import httpx
import pytest

from mina_ops.errors import TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.system import programs
from mina_ops.operator.system.programs import Result
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.cluster import NAMESPACE, Cluster
from tests.operator.stand_in import StandIns
from tests.operator.traffic.conftest import SharedSite, as_new
from tests.operator.traffic.test_contract import HANDSHAKE, green, sid_of, tag_of
from tests.support.command import MINA_OPS
from tests.support.kubernetes.objects import Json, Objects
from tests.support.wait import eventually

ROUTE = ("gateway.networking.k8s.io/v1/httproutes", NAMESPACE, "mina")


@pytest.fixture
def gateway(shared_gateway: SharedSite) -> Iterator[Balancer]:
    """The site of the contract, serving 100 % blue, its apps as new."""
    as_new(shared_gateway)
    site = shared_gateway[1]
    there = the_cluster(site)
    allows = there.api.allows
    yield site
    there.api.allows = allows
    # What others own is nobody's before the next test.
    there.api.objects.ahead = 0.0
    site.toml.write_text(shared_gateway[2])
    open_driver(site.settings()).take_over()


@pytest.fixture
def apps(shared_gateway: SharedSite) -> StandIns:
    """The apps behind it."""
    return shared_gateway[0]


def the_cluster(gateway: Balancer) -> Cluster:
    assert gateway.cluster is not None
    return gateway.cluster


def objects(gateway: Balancer) -> Objects:
    return the_cluster(gateway).api.objects


def route(gateway: Balancer) -> Json:
    found = objects(gateway).get(ROUTE)
    assert found is not None
    return found


def traffic(gateway: Balancer, *words: str) -> Result:
    command = [MINA_OPS, "--config", str(gateway.toml), "traffic", *words]
    return programs.run(command, timeout_seconds=60)


def test_a_switch_changes_one_object_once(gateway: Balancer) -> None:
    before = gateway.driver.read().generation
    applied = gateway.driver.apply(green(30, **{"7": "green"}))
    assert applied.after.generation == before + 1
    assert gateway.driver.apply(green(30, **{"7": "green"})).after == applied.after
    owners = {one["manager"] for one in route(gateway)["metadata"]["managedFields"]}
    assert owners == {"mina-ops"}


def test_shares_are_exact_where_no_key_is_known(gateway: Balancer) -> None:
    gateway.driver.apply(green(25))
    colours = [gateway.get("/").colour for _ in range(100)]
    assert colours.count("green") == 25


def test_fields_of_others_are_told_and_taken_over_by_force(gateway: Balancer) -> None:
    labels = {"app.kubernetes.io/managed-by": "argocd"}
    wanted = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    theirs = {**wanted, "metadata": {"labels": labels}}
    objects(gateway).apply(ROUTE, theirs, "argocd", force=True)
    with pytest.raises(TrafficError) as told:
        gateway.driver.apply(green(60))
    for word in ("argocd", ".metadata.labels.app.kubernetes.io/managed-by", "install --force"):
        assert word in str(told.value)
    assert gateway.driver.read().split == green(0)
    assert traffic(gateway, "install").code == 7
    assert traffic(gateway, "install", "--force").code == 0
    assert gateway.driver.apply(green(60)).after.split == green(60)


def test_weights_that_somebody_edited_are_told_with_who_and_taken_back(gateway: Balancer) -> None:
    gateway.driver.apply(green(10))
    edited = route(gateway)
    for share, to in zip((20, 80), edited["spec"]["rules"][-1]["backendRefs"], strict=True):
        to["weight"] = share
    url = the_cluster(gateway).api.url
    path = f"{url}/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes/mina"
    done = httpx.put(path, json=edited, headers={"User-Agent": "kubectl-edit/1.31"})
    assert done.status_code == 200
    for ask in (gateway.driver.read, lambda: gateway.driver.apply(green(50))):
        with pytest.raises(TrafficError, match=r"changed by kubectl-edit at 2.*install --force"):
            ask()
    assert any("kubectl-edit" in problem for problem in gateway.driver.check())
    assert traffic(gateway, "install", "--force").code == 0
    assert gateway.driver.read().split == green(10)


def test_what_its_controller_says_against_a_route_is_told_and_the_earlier_one_serves(
    gateway: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.driver.apply(green(40))
    monkeypatch.setenv("MINA_OPS_PATIENCE", "0.2")
    gateway.add_keys('listener = "none"')
    with pytest.raises(TrafficError, match=r"HTTPRoute mina is not Accepted, NoMatchingParent"):
        open_driver(gateway.settings()).install()
    monkeypatch.undo()
    eventually(lambda: gateway.get("/").status == 200)
    problems = open_driver(gateway.settings()).check()
    assert "Gateway mina has no listener none; it has web." in problems


def test_services_that_are_missing_or_too_wide_are_told(gateway: Balancer) -> None:
    gateway.add_keys("port = 8080")
    problems = open_driver(gateway.settings()).check()
    assert "Service mina-blue has no port 8080, it has 80." in problems
    text = gateway.toml.read_text().replace("port = 8080\n", "")
    gateway.toml.write_text(text.replace("mina-{colour}-{instance}", "mina-{colour}"))
    problems = open_driver(gateway.settings()).check()
    assert any("blue may be with any of the 2 pods" in problem for problem in problems)
    assert any("publishNotReadyAddresses" in problem for problem in problems)
    gateway.add_keys("polling = false")
    problems = open_driver(gateway.settings()).check()
    assert not any("polling" in problem for problem in problems)
    gateway.toml.write_text(text.replace("mina-{colour}-{instance}", "sessions-{colour}"))
    problems = open_driver(gateway.settings()).check()
    assert "There is no Service sessions-blue in mina." in problems


def test_a_colour_without_a_ready_pod_gets_no_traffic(
    gateway: Balancer, apps: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_PATIENCE", "0.2")
    for instance in apps.instances["green"]:
        instance.ready = False
    the_cluster(gateway).probe()
    with pytest.raises(TrafficError, match="No pod of green is ready in Service mina-green"):
        gateway.driver.apply(green(50))
    assert gateway.driver.read().split == green(0)
    for instance in apps.instances["green"]:
        instance.ready = True
    gateway.driver.apply(green(50))


def test_sessions_of_pods_that_drain_go_on_and_new_ones_go_elsewhere(
    gateway: Balancer, apps: StandIns
) -> None:
    sids = [sid_of(gateway.get(HANDSHAKE)) for _ in range(10)]
    gateway.driver.apply(green(100))
    apps.fleets["blue"].drain = {"state": "draining"}
    gateway.settle()
    assert {gateway.get(f"{HANDSHAKE}&sid={sid}").status for sid in sids} == {200}
    assert {tag_of(sid_of(gateway.get(HANDSHAKE)))[:5] for _ in range(10)} == {"green"}


def test_pods_come_and_go_without_an_install(gateway: Balancer, apps: StandIns) -> None:
    gone = apps.instances["blue"][1]
    apps.stop_instance(gone)
    gateway.settle()
    assert {gateway.get("/").body["instance"] for _ in range(20)} == {"0"}
    apps.start_instance(gone)
    gateway.settle()
    assert {gateway.get("/").body["instance"] for _ in range(20)} == {"0", "1"}
    assert gateway.driver.check() == []


def test_a_session_of_a_pod_that_is_not_listed_stays_with_its_colour(
    gateway: Balancer, apps: StandIns
) -> None:
    gateway.driver.apply(green(100))
    gateway.get(f"{HANDSHAKE}&sid=blue.7f9c-x2x9k~1")
    assert sum(one.seen["/socket.io/"] for one in apps.instances["blue"]) == 1


def test_of_all_that_a_request_tells_the_same_counts_as_behind_nginx(gateway: Balancer) -> None:
    """A release outranks a tester, who outranks a user by name, who outranks the key."""
    secret = gateway.folder / "secret"
    secret.write_text("a-secret-of-the-tests-0123")
    gateway.add_option(f'tester_secret_file = "{secret}"')
    releases = {"blue": "v1.0.0", "green": "v2.0.0"}
    testers = gateway.options().tester_secret.values(["blue", "green"])
    split = Split({"blue": 50, "green": 50}, {"to-blue": "blue", "to-green": "green"}, releases)
    gateway.driver.apply(split)
    keys = {"blue": "99.x", "green": "0.x"}
    for told in itertools.product(("blue", "green", None), repeat=4):
        if not any(told):
            continue
        release, tester, user, key = told
        wanted = next(colour for colour in told if colour)
        cookies = [f"mina_key={keys[key]}"] if key else []
        header = {"X_User_ID": f"to-{user}"} if user else {}
        if tester:
            cookies.append(f"mina_tester={testers[tester]}")
        if cookies:
            header["Cookie"] = "; ".join(cookies)
        query = f"?mina_release={releases[release]}" if release else ""
        assert gateway.get(f"/{query}", **header).colour == wanted, told
        if tester:
            header = {**header, "X_Mina_Tester": testers[tester]}
        if release:
            header["X_Mina_Release"] = releases[release]
        assert gateway.get("/", **header).colour == wanted, told


def test_users_by_name_may_be_ten_thousand(gateway: Balancer) -> None:
    users = {f"user-{number}": "green" for number in range(10_000)}
    gateway.driver.apply(green(0, **users))
    assert gateway.driver.read().split == green(0, **users)
    assert gateway.get("/", X_User_ID="user-9999").colour == "green"
    assert gateway.get("/", X_User_ID="user-10000").colour == "blue"


def test_the_app_believes_no_visitor_who_speaks_as_the_load_balancer(gateway: Balancer) -> None:
    claims = {"X_Mina_Elsewhere": "1", "X_Mina_Only_If_Ready": "1", "X_Mina_Drain_Status": "200"}
    headers = gateway.get("/", Cookie=gateway.key(1), X_Mina_Sticky="x", **claims).body["headers"]
    assert not [name for name in headers if name.startswith("x-mina-")]


def test_an_api_server_that_allows_too_little_is_told_with_where_it_is_written(
    gateway: Balancer,
) -> None:
    the_cluster(gateway).api.allows = lambda _token, verb, _key: verb != "patch"
    with pytest.raises(TrafficError, match=r"allows us no PATCH .*rbac\.yml"):
        gateway.driver.apply(green(20))
    the_cluster(gateway).api.allows = lambda _token, _verb, key: "gateways" not in key[0]
    assert any("rbac.yml" in problem for problem in gateway.driver.check())


def test_an_api_server_that_is_away_is_told_and_traffic_stays(gateway: Balancer) -> None:
    file = gateway.folder / "kubeconfig"
    text = file.read_text()
    file.write_text(text.replace(the_cluster(gateway).api.url, "http://127.0.0.1:9"))
    try:
        with pytest.raises(TrafficError, match="API server does not answer at http://127"):
            open_driver(gateway.settings()).apply(green(20))
    finally:
        file.write_text(text)
    assert gateway.get("/").colour == "blue"


def test_the_lock_lies_in_the_cluster_and_ends_by_its_clock(gateway: Balancer) -> None:
    first, second = holder("release"), holder("switch")
    driver, other = gateway.driver, open_driver(gateway.settings())
    objects(gateway).ahead = -7200.0
    assert driver.hold(first) == first
    held = other.hold(second)
    assert held is not None
    assert (held.id, held.purpose) == (first.id, "release")
    other.free(second.id)
    assert driver.holder() == held
    objects(gateway).ahead += 20
    assert driver.hold(first) == first
    objects(gateway).ahead += 25
    assert (driver.holder() or second).id == first.id
    objects(gateway).ahead += 10
    assert driver.holder() is None
    assert other.hold(second) == second
    driver.free(first.id)
    other.free(second.id)
    assert driver.holder() is None


def holder(purpose: str) -> Holder:
    return Holder(f"0123456789-{purpose}", purpose, "somebody", "host", 0, ttl_seconds=30.0)


def test_what_is_rendered_is_what_is_installed(gateway: Balancer) -> None:
    done = traffic(gateway, "render")
    made = [json.loads(part) for part in done.stdout.split("---\n")[1:]]
    assert [one["metadata"]["name"] for one in made] == ["mina-sessions", "mina"]
    assert made[1]["spec"]["rules"] == route(gateway)["spec"]["rules"]
    eventually(lambda: gateway.driver.check() == [])
