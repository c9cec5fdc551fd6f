// Everything that can be done from here: what it is called, when it can be done, what it will do.
import { make, say } from "./dom.js";
import { count, duration, number, percent } from "./words.js";

const other = (data, name) => data.order.find((one) => one !== name);
const running = (data) => (data.release && !data.release.ended ? data.release : null);
const noRelease = (data) => (running(data) ? null : "no release is running");

function silentController({ release }) {
  if (release.alive) return [];
  const heard = release.heard_seconds === null ? "never" : `${duration(release.heard_seconds)} ago`;
  return [`Nobody is at work on it (last heard ${heard}): the order waits until somebody reads it.`];
}

// Where everybody goes, with what waits there.
function backWords(data) {
  const { from, to, flags = [] } = data.release;
  const home = data.colours[from];
  const away = data.colours[to];
  const state = home ? ` (${home.versions.join(", ")}, ready ${home.ready} of ${home.instances})` : "";
  const lines = [`Everybody goes to ${from}${state}.`];
  if (away?.sessions) lines.push(`${count(away.sessions, "live session")} of ${to} follow.`);
  const own = data.flags.filter((flag) => flag.enabled && flag.release === data.release.version).map((flag) => flag.key);
  const off = [...new Set([...flags, ...own])];
  if (off.length) lines.push(`Turned off: ${off.join(", ")}.`);
  return [...lines, ...silentController(data)];
}

const ACTS = {
  drain: {
    label: ({ colour }) => `drain ${colour}`,
    unable: (data, { colour }) => {
      const target = data.colours[other(data, colour)];
      if (target.drain.state !== "serving") return `${other(data, colour)} is ${target.drain.state}: nobody would take the sessions`;
      return target.ready ? null : `${other(data, colour)} has no ready instance that could take the sessions`;
    },
    effect: (data, { colour }) => [
      `${count(data.colours[colour].sessions ?? 0, "live session")} of ${colour} move to ${other(data, colour)} within ${number(data.grace_seconds)} s.`,
      `New sessions go to ${other(data, colour)}. Plain requests of ${colour} are served as before.`,
    ],
    order: ({ colour }) => ({ act: "drain", colour }),
  },
  "cancel-drain": {
    label: ({ colour }) => `cancel the drain of ${colour}`,
    effect: (data, { colour }) => [
      `${colour} takes new sessions again. ${count(data.colours[colour].drain.remaining, "session")} that did not move yet stay.`,
    ],
    order: ({ colour }) => ({ act: "cancel-drain", colour }),
  },
  "turn-flag": {
    label: ({ flag }) => (flag?.enabled ? "turn off" : "turn on"),
    about: ({ flag }) => flag.key,
    effect: (data, { flag }) => flag.enabled
      ? [`${flag.key} is off for everybody; ${flag.rollout_percent < 100 ? `${percent(flag.rollout_percent)} have` : "everybody has"} it now.`,
         `All ${number(data.order.reduce((sum, name) => sum + data.colours[name].instances, 0))} processes are asked to confirm.`]
      : [`${flag.key} is on for ${flag.rollout_percent < 100 ? `${percent(flag.rollout_percent)} of the users` : "everybody"}, on both colours.`],
    order: ({ flag }) => ({ act: "turn-flag", key: flag.key, enabled: !flag.enabled }),
  },
  "roll-flag": {
    label: () => "set %",
    about: ({ flag }) => flag.key,
    number: ({ flag }) => ({ name: "rollout_percent", text: "percent of the users", value: flag.rollout_percent, least: 0, most: 100, step: "any" }),
    effect: (data, { flag }) => [`${flag.key} is ${flag.enabled ? "on" : "off"} at ${percent(flag.rollout_percent)} now. Whoever has it keeps it when the share grows.`],
    order: ({ flag }) => ({ act: "roll-flag", key: flag.key }),
  },
  promote: {
    label: () => "promote",
    fits: running, unable: (data) => noRelease(data),
    effect: (data) => [
      `${data.release.version} takes its next step at once (now ${data.release.percent ?? 0} % on ${data.release.to}), without the samples it waits for.`,
      ...silentController(data)],
    order: () => ({ act: "promote" }),
  },
  pause: {
    label: () => "pause",
    fits: (data) => Boolean(running(data)) && !data.release.paused, unable: (data) => noRelease(data),
    effect: (data) => [`${data.release.to} keeps its ${data.release.percent ?? 0} % until somebody resumes. Its triggers go on watching.`, ...silentController(data)],
    order: () => ({ act: "pause" }),
  },
  resume: {
    label: () => "resume",
    fits: (data) => Boolean(running(data)?.paused), unable: (data) => noRelease(data),
    effect: (data) => [`${data.release.version} goes on from ${data.release.percent ?? 0} % on ${data.release.to}.`, ...silentController(data)],
    order: () => ({ act: "resume" }),
  },
  abort: {
    label: (_, data) => `roll back to ${running(data)?.from ?? "the old colour"}`,
    danger: true, unable: (data) => noRelease(data), effect: backWords,
    order: () => ({ act: "abort" }),
  },
  freeze: {
    label: () => "freeze releases",
    fits: (data) => !data.freeze,
    text: () => ({ name: "reason", text: "why" }),
    effect: () => ["Nobody can start a release until it is lifted. One that runs goes on."],
    order: () => ({ act: "freeze" }),
  },
  unfreeze: {
    label: () => "lift the freeze",
    fits: (data) => Boolean(data.freeze),
    effect: (data) => [`Releases can be started again. It was frozen: ${data.freeze.reason}`],
    order: () => ({ act: "unfreeze" }),
  },
};

/**
 * A button for an act, with `mend(data, subject)`. A click asks; an act that cannot be done is
 * asked for all the same and answers why.
 *
 * @param subject what it is done to: { colour } or { flag }; `unable` says why it cannot be
 */
export function actButton(name, ask) {
  const act = ACTS[name];
  let data = null;
  let subject = {};
  const button = make("button", { type: "button", class: act.danger ? "act danger" : "act", onclick: () =>
    ask({ title: title(), why: why(), effect: why() ? [] : act.effect(data, subject), danger: act.danger,
      label: act.label(subject, data), number: act.number?.(subject), text: act.text?.(subject), order: act.order(subject) }) });
  const why = () => subject.unable ?? act.unable?.(data, subject) ?? null;
  const title = () => [act.label(subject, data), act.about?.(subject)].filter(Boolean).join(" ");
  button.fits = (shown) => Boolean(act.fits ? act.fits(shown) : true);
  button.mend = (shown, changed) => {
    data = shown;
    subject = changed;
    say(button, act.label(subject, data));
    if (act.about && subject.flag) button.setAttribute("aria-label", title());
    button.setAttribute("aria-disabled", String(why() !== null));
    button.title = why() ?? "";
  };
  return button;
}
