// Who has the traffic: both colours with their share, and the sessions that move between them.
import { actButton } from "./acts.js";
import { make, say, show } from "./dom.js";
import { ready } from "./verdict.js";
import { count, duration, number, percent } from "./words.js";

export function splitView(root, ask) {
  const heads = [headView("left", ask), headView("right", ask)];
  const bar = make("div", { class: "bar", role: "img" });
  const parts = ["left", "right"].map((side) => make("span", { class: `part ${side}` }));
  bar.append(...parts);
  const stream = streamView();
  root.append(heads[0].root, make("div", { class: "between" }, bar, stream.root), heads[1].root);

  return ({ data, silent }) => {
    if (!data) return;
    const colours = data.order.map((name) => data.colours[name]);
    const shares = colours.map((colour) => colour.share.given ?? colour.share.seen);
    const known = shares.every((share) => share !== null);
    parts.forEach((part, side) => {
      const share = known ? shares[side] : 50;
      part.style.width = `${share}%`;
      say(part, known ? (share > 0 ? `${Math.round(share)} %` : "") : "?");
      part.classList.toggle("narrow", known && share < 12);
    });
    bar.classList.toggle("unknown", !known);
    bar.setAttribute("aria-label", known
      ? data.order.map((name, side) => `${name} ${Math.round(shares[side])} percent`).join(", ")
      : "share of traffic unknown: nobody reported one, and no request came in the last minute");
    heads.forEach((head, side) => head.mend(data, data.order[side], silent));
    stream.mend(data);
  };
}

function headView(side, ask) {
  const chip = make("span", { class: `chip ${side}`, "aria-hidden": "true" });
  const name = make("span", { class: "colour-name" });
  const version = make("span", { class: "version" });
  const state = make("p", { class: "state" });
  const reasons = make("p", { class: "reasons" });
  const share = make("p", { class: "share small" });
  const acts = make("p", { class: "acts" });
  const drain = actButton("drain", ask);
  const cancel = actButton("cancel-drain", ask);
  acts.append(drain, cancel);
  const root = make("article", { class: `head ${side}` },
    make("h3", {}, chip, name, version), state, reasons, share, acts);

  function mend(data, key, silent) {
    const colour = data.colours[key];
    say(chip, key.slice(0, 1).toUpperCase());
    say(name, key);
    say(version, colour.versions.join(", ") || "version unknown");
    const age = (colour.age_seconds ?? 0) + silent;
    root.classList.toggle("old", colour.stale || silent > 2.5);
    const old = colour.stale || silent > 2.5 ? `, ${duration(age)} old` : "";
    say(state, colour.instances ? `${ready(colour)} · ${colour.health}${old}` : `${ready(colour)}${old}`);
    say(reasons, colour.reasons.join("; "));
    say(share, shareWords(colour.share));
    const draining = colour.drain.state !== "serving";
    drain.mend(data, { colour: key, unable: draining ? `${key} is ${colour.drain.state} already` : null });
    cancel.mend(data, { colour: key, unable: draining ? null : `${key} is not draining` });
    show(drain, data.viewer.may_act && !draining);
    show(cancel, data.viewer.may_act && draining);
  }
  return { root, mend };
}

function shareWords({ given, seen }) {
  if (given === null && seen === null) return "share unknown: no release says it, no request tells it";
  if (given === null) return `has ${percent(seen)} of the requests, as counted here`;
  if (seen === null) return `was given ${given} % · no request counted`;
  return `was given ${given} % · gets ${percent(seen)}`;
}

// The heart of a drain: the number that falls on one side and grows on the other.
function streamView() {
  const counts = ["left", "right"].map((side) => make("strong", { class: `sessions ${side}` }));
  const flow = make("span", { class: "flow" });
  const words = make("p", { class: "small flow-words" });
  const root = make("div", { class: "stream" },
    make("p", { class: "flow-line" }, counts[0], flow, counts[1]), words);

  function mend(data) {
    const from = data.order.find((name) => data.colours[name].drain.state === "draining");
    data.order.forEach((name, side) => say(counts[side], number(data.colours[name].sessions)));
    root.dataset.flow = from === undefined ? "none" : from === data.order[0] ? "right" : "left";
    say(words, from === undefined ? "live sessions" : drainWords(data.colours[from].drain));
  }
  return { root, mend };
}

function drainWords(drain) {
  const parts = [`${count(drain.remaining, "session")} of ${number(drain.initial)} still to move`];
  if (drain.deadline_in_seconds !== null) parts.push(`${duration(Math.max(0, drain.deadline_in_seconds))} left`);
  if (drain.holds) parts.push(`work holds ${count(drain.holds, "session")}`);
  if (drain.forced) parts.push(`${drain.forced} cut`);
  return parts.join(" · ");
}
