// The flags that both colours share: on or off, for how many, and who changed them.
import { actButton } from "./acts.js";
import { list, make, say, show } from "./dom.js";
import { duration, moment, percent, who } from "./words.js";

export function flagsView(root, ask) {
  const note = make("p", { class: "small note" });
  const body = make("tbody");
  const table = make("table", { class: "flags" },
    make("thead", { class: "unseen" }, make("tr", {}, ...["flag", "state", "share", "last change", "acts"].map((name) =>
      make("th", { scope: "col" }, name)))), body);
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "all flags" }, table);
  root.append(note, scroll);

  return ({ data, silent }) => {
    if (!data) return;
    root.classList.toggle("old", silent > 2.5 || data.flags_stale);
    say(note, noteWords(data));
    show(note, note.textContent !== "");
    list(body, data.flags, (flag) => flag.key, () => flagRow(ask));
    for (const row of body.children) row.follow(data);
  };
}

function noteWords(data) {
  if (data.flags_alert) return data.flags_alert;
  if (data.flags_stale) return `As of ${duration(data.flags_age_seconds)} ago: the shared store does not answer.`;
  if (!data.flags.length) return "No flags yet.";
  return "";
}

function flagRow(ask) {
  const key = make("th", { scope: "row" });
  const state = make("td", { class: "on-off" });
  const share = make("td", { class: "number" });
  const changed = make("td", { class: "small changed" });
  const toggle = actButton("turn-flag", ask);
  const rollout = actButton("roll-flag", ask);
  const row = make("tr", {}, key, state, share, changed, make("td", {}, make("div", { class: "acts" }, toggle, rollout)));
  let flag = null;
  row.mend = (mended) => {
    flag = mended;
    row.dataset.on = flag.enabled;
    say(key, flag.key);
    key.title = flag.description ?? flag.key;
    say(state, flag.enabled ? "on" : "off");
    say(share, flag.enabled && flag.rollout_percent < 100 ? percent(flag.rollout_percent) : "");
  };
  row.follow = (data) => {
    const release = flag.release ? ` · ${flag.release}` : "";
    say(changed, `${[who(flag.changed_by), moment(flag.changed_at, data.at)].filter(Boolean).join(", ")}${release}`);
    for (const button of [toggle, rollout]) {
      button.mend(data, { flag });
      show(button, data.viewer.may_act);
    }
  };
  return row;
}
