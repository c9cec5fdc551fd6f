// What is moving: the release, its phases, what it waits for, and what one can do about it.
import { actButton } from "./acts.js";
import { copyLine } from "./copy.js";
import { list, make, say, show } from "./dom.js";
import { duration, who } from "./words.js";

const MARKS = { done: "✓", now: "●", waiting: "○", failed: "✗" };
const WORDS = { pass: "passes", fail: "FAILS", no_data: "not yet known", error: "cannot be read" };
const SAID = { done: "done", now: "under way", waiting: "to come", failed: "failed" };

export function releaseView(root, ask) {
  const frozen = make("p", { class: "frozen" });
  const about = make("p", { class: "about" });
  const phases = make("ol", { class: "phases" });
  const waits = make("p", { class: "waits" });
  const triggers = make("table", { class: "triggers", hidden: true },
    make("thead", {}, make("tr", {}, ...["trigger", "verdict", "says"].map((name) =>
      make("th", { scope: "col" }, name)))));
  const body = make("tbody");
  triggers.append(body);
  const orders = make("p", { class: "small orders" });
  const acts = make("p", { class: "acts" });
  const buttons = ["promote", "pause", "resume", "abort", "freeze", "unfreeze"].map((name) => actButton(name, ask));
  acts.append(...buttons);
  const line = copyLine();
  root.append(frozen, about, phases, waits, triggers, orders, acts, line.root);

  return ({ data, silent }) => {
    if (!data) return;
    const release = data.release;
    root.classList.toggle("old", silent > 2.5);
    say(frozen, frozenWords(data));
    show(frozen, Boolean(data.freeze));
    say(about, aboutWords(data));
    list(phases, release?.phases ?? [], (phase) => phase.name, phaseItem);
    show(phases, Boolean(release));
    say(waits, release ? (release.reason ?? (release.waits_for ? `waits for ${release.waits_for}` : "")) : "");
    show(triggers, Boolean(release?.triggers?.length));
    list(body, release?.triggers ?? [], (trigger) => trigger.name, triggerRow);
    say(orders, orderWords(release, data.at));
    for (const button of buttons) {
      button.mend(data, {});
      show(button, data.viewer.may_act && button.fits(data));
    }
    line.mend(lineWords(data));
  };
}

function frozenWords({ freeze, at }) {
  if (!freeze) return "";
  return `Releases are frozen by ${who(freeze.by)} for ${duration(Math.max(0, at - freeze.since))}: ${freeze.reason || "no reason given"}. None starts until that is lifted.`;
}

function aboutWords({ release, freeze, releases_known: known }) {
  if (!release) {
    if (freeze) return "";
    return known ? "No release is running." : "Unknown: no operator has told this app of releases yet.";
  }
  const heard = release.heard_seconds === null ? "never heard" : `heard ${duration(release.heard_seconds)} ago`;
  const state = release.ended ? release.phase_text ?? release.phase : `controller ${heard}`;
  return `${release.version}, ${release.from} → ${release.to}, by ${who(release.by)} · ${state}`;
}

function orderWords(release, now) {
  const open = (release?.orders ?? []).filter((order) => !order.taken);
  if (!open.length) return "";
  const last = open.at(-1);
  const waited = duration(Math.max(0, now - last.at));
  const hint = now - last.at > 15 ? " Nobody took it: type the line below." : "";
  return `${last.order} asked by ${who(last.by)} ${waited} ago; the controller has not taken it yet.${hint}`;
}

// What this page cannot do itself, as the line to type.
function lineWords({ release, order, colours }) {
  if (!release || release.ended) {
    const target = order.find((name) => (colours[name].share.given ?? colours[name].share.seen ?? 0) > 0);
    const other = order.find((name) => name !== target);
    const again = release?.ended && release.phase === "done"
      ? { text: "If it turns out bad:", line: "mina-ops rollback" }
      : { text: `To release on ${other ?? order[1]}:`, line: "mina-ops release start VERSION" };
    return again;
  }
  if (!release.alive) return { text: "Nobody is at work on it. To take it back from a shell:", line: "mina-ops release abort" };
  return { text: "The same from a shell:", line: "mina-ops release status" };
}

function phaseItem() {
  const mark = make("span", { "aria-hidden": "true", class: "mark" });
  const name = make("span");
  const said = make("span", { class: "unseen" });
  const item = make("li", {}, mark, name, said);
  item.mend = (phase) => {
    item.dataset.state = phase.state;
    say(mark, MARKS[phase.state]);
    say(name, phase.text ?? phase.name);
    say(said, `, ${SAID[phase.state]}`);
    if (phase.state === "now") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  };
  return item;
}

function triggerRow() {
  const cells = [make("th", { scope: "row" }), make("td"), make("td", { class: "says" })];
  const row = make("tr", {}, ...cells);
  row.mend = (trigger) => {
    row.dataset.verdict = trigger.verdict;
    say(cells[0], String(trigger.name).replaceAll("_", " "));
    say(cells[1], WORDS[trigger.verdict] ?? trigger.verdict);
    say(cells[2], trigger.says ?? "");
  };
  return row;
}
