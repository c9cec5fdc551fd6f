"""The page itself in a real Chromium, fed with every state that there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.console import states
from tests.app.console.browsing import Watched, serious_findings
from tests.app.console.stage import Stage

pytestmark = pytest.mark.once

Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, stage: Stage) -> Iterator[Open]:
    """Opens a state; no page may break its policy or ask another origin."""
    pages: list[tuple[Page, Watched]] = []

    def opened(name: str, width: int = 1280, scheme: str = "light", **more: object) -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        )
        pages.append((page, Watched(page)))
        page.goto(f"{stage.url}/{name}/")
        page.wait_for_selector("#console:not([hidden])")
        return page

    yield opened
    for page, watched in pages:
        page.close()
        assert watched.faults == []
        assert {url for url in watched.requests if not url.startswith(stage.url)} == set()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark"), (1920, "light")])
def test_nothing_runs_out_sideways_in_any_state(
    open_page: Open, stage: Stage, width: int, scheme: str
) -> None:
    page = open_page("calm", width, scheme)
    for name in states.STATES:
        page.goto(f"{stage.url}/{name}/")
        page.wait_for_selector("#console:not([hidden])")
        too_wide = page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, f"{name} is {too_wide} px too wide"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["draining", "both_sick", "empty", "no_controller"])
def test_axe_finds_nothing_serious(open_page: Open, name: str, scheme: str) -> None:
    width = 390 if name == "both_sick" else 1280
    assert serious_findings(open_page(name, width, scheme, reduced_motion="reduce")) == []


def test_the_first_line_tells_the_worst_and_how_much_more_there_is(open_page: Open) -> None:
    page = open_page("both_sick")
    verdict = page.locator("#verdict")
    expect(verdict.locator(".sentence")).to_have_text(
        "blue and green: database check failing for 40 s"
    )
    expect(verdict.locator("summary")).to_have_text("and 2 more")
    expect(page).to_have_title(re.compile("database check failing"))
    expect(open_page("calm").locator("#verdict .sentence")).to_have_text("all well")


def test_figures_of_both_colours_stand_beside_their_limit(open_page: Open) -> None:
    row = open_page("canary").get_by_role("row", name=re.compile("^errors"))
    expect(row.locator(".value.left")).to_contain_text("0.02 %")
    expect(row.locator(".value.right")).to_contain_text("0.03 %")
    expect(row.locator(".limit")).to_have_text("5 %")
    label = row.get_by_role("img").get_attribute("aria-label") or ""
    assert label.startswith("errors over the last hour: blue 0.02 % to 0.22 %")


def test_a_figure_that_is_missing_says_why_and_is_never_zero(open_page: Open) -> None:
    page = open_page("first_seconds")
    p95 = page.get_by_role("row", name=re.compile("^P95")).locator(".value.left")
    expect(p95).to_have_text("\N{EN DASH}3 of 20 samples")


def test_markup_in_names_stays_text(open_page: Open) -> None:
    page = open_page("long_names")
    expect(page.get_by_text("<b>bold</b>", exact=True)).to_be_visible()
    assert page.locator("#flags b, #changes script").count() == 0


def test_moving_sessions_flow_and_stand_still_for_those_who_want_that(open_page: Open) -> None:
    def animation(page: Page) -> str:
        flow = page.locator(".flow")
        return str(flow.evaluate("(element) => getComputedStyle(element).animationName"))

    page = open_page("draining")
    expect(page.locator(".stream")).to_have_attribute("data-flow", "right")
    expect(page.locator(".flow-words")).to_contain_text("12 sessions of 122 still to move")
    assert animation(page) == "to-right"
    assert animation(open_page("draining", reduced_motion="reduce")) == "none"


def test_an_act_asks_once_with_its_consequence_in_numbers(open_page: Open, stage: Stage) -> None:
    page = open_page("canary")
    page.get_by_role("button", name="roll back to blue").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Everybody goes to blue (v2.4.5, ready 4 of 4).")
    expect(dialog).to_contain_text("61 live sessions of green follow.")
    expect(dialog).to_contain_text("Turned off: enable_audio_replay.")
    assert stage.orders == []
    dialog.get_by_role("button", name="roll back to blue").click()
    expect(dialog).to_be_hidden()
    assert stage.orders == [{"act": "abort"}]


def test_everything_can_be_done_with_the_keyboard_alone(open_page: Open, stage: Stage) -> None:
    page = open_page("canary")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent") == "drain green":
            break
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("61 live sessions of green move to blue within 30 s.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert stage.orders == []
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert stage.orders == [{"act": "drain", "colour": "green"}]


def test_a_share_is_asked_for_and_kept_within_its_bounds(open_page: Open, stage: Stage) -> None:
    page = open_page("canary")
    page.get_by_role("button", name="set % enable_audio_replay").click()
    field = page.get_by_label("percent of the users")
    expect(field).to_have_value("25")
    field.fill("150")
    page.keyboard.press("Enter")
    assert stage.orders == []
    field.fill("50")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert stage.orders == [
        {"act": "roll-flag", "key": "enable_audio_replay", "rollout_percent": 50}
    ]


def test_what_cannot_be_done_says_why(open_page: Open, stage: Stage) -> None:
    page = open_page("calm")
    page.get_by_role("button", name="roll back to the old colour").click(force=True)
    expect(page.get_by_role("dialog")).to_contain_text("Not now: no release is running.")
    expect(page.get_by_role("dialog").get_by_role("button")).to_have_count(1)


def test_a_refusal_is_told_where_one_asked(open_page: Open, stage: Stage) -> None:
    stage.refusal = "The shared store is away."
    page = open_page("canary")
    page.get_by_role("button", name="drain blue").click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").last).to_have_text("The shared store is away.")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_reader_sees_no_buttons(open_page: Open) -> None:
    page = open_page("read_only")
    expect(page.locator("#viewer")).to_have_text("wall · may only read")
    assert page.locator(".act:visible").count() == 0


@pytest.mark.parametrize(
    ("state", "shown", "hidden"), [("canary", "pause", "resume"), ("both_sick", "resume", "pause")]
)
def test_of_pause_and_resume_the_one_that_applies_is_shown(
    open_page: Open, state: str, shown: str, hidden: str
) -> None:
    page = open_page(state)
    expect(page.get_by_role("button", name=shown, exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=hidden, exact=True)).to_have_count(0)


def test_an_order_nobody_took_gives_the_line_to_type(open_page: Open) -> None:
    release = open_page("no_controller").locator("#release")
    expect(release).to_contain_text("the controller has not taken it yet")
    expect(release.locator("code")).to_have_text("mina-ops release abort")


def test_an_app_that_fell_silent_turns_the_page_grey_and_comes_back(
    open_page: Open, stage: Stage
) -> None:
    page = open_page("canary")
    stage.dead = True
    expect(page.locator("#verdict .sentence")).to_have_text(
        re.compile(r"figures are \d+ s old: the app answers 503"), timeout=20_000
    )
    expect(page.locator("#figures")).to_have_class(re.compile("old"))
    stage.dead = False
    expect(page.locator("#verdict .sentence")).to_have_text("all well", timeout=20_000)


def test_the_focus_stays_while_figures_change(open_page: Open, stage: Stage) -> None:
    page = open_page("canary")
    button = page.get_by_role("button", name="turn off speaker_labels")
    button.focus()
    stage.states["canary"]["flags"].insert(0, stage.states["canary"]["flags"][1] | {"key": "a"})
    expect(page.get_by_role("row", name=re.compile("^a off"))).to_be_visible()
    expect(button).to_be_focused()


def test_a_freeze_is_told_asks_for_a_reason_and_can_be_lifted(
    open_page: Open, stage: Stage
) -> None:
    page = open_page("calm")
    page.get_by_role("button", name="freeze releases").click()
    page.get_by_label("why").fill("holidays")
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_hidden()
    assert stage.orders == [{"act": "freeze", "reason": "holidays"}]
    page = open_page("frozen")
    expect(page.locator("#release .frozen")).to_contain_text("frozen by ana for 2 h")
    page.get_by_role("button", name="lift the freeze").click()
    expect(page.locator("#ask")).to_contain_text("a migration failed halfway")
    page.keyboard.press("Escape")


def test_the_theme_can_be_chosen_and_is_kept(open_page: Open) -> None:
    page = open_page("calm")
    page.get_by_role("button", name="dark").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
