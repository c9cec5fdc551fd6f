// What was done before: the newest entries of the audit log.
import { list, make, say, show } from "./dom.js";
import { moment, who } from "./words.js";

export function changesView(root) {
  const note = make("p", { class: "small note" });
  const entries = make("ol", { class: "changes" });
  root.append(note, entries);

  return ({ data, silent }) => {
    if (!data) return;
    root.classList.toggle("old", silent > 2.5 || data.changes_stale);
    say(note, data.changes_stale ? "The shared log does not answer; this is what was last read." : data.changes.length ? "" : "Nothing was changed yet.");
    show(note, note.textContent !== "");
    list(entries, data.changes, (entry) => entry.id, changeItem);
    for (const item of entries.children) item.follow(data.at);
  };
}

function changeItem() {
  const time = make("time");
  const actor = make("span", { class: "actor" });
  const text = make("span", { class: "what" });
  const item = make("li", {}, time, actor, text);
  let at = 0;
  item.mend = (entry) => {
    at = entry.at;
    time.setAttribute("datetime", new Date(at * 1000).toISOString());
    time.title = new Date(at * 1000).toLocaleString("en-GB");
    say(actor, who(entry.actor));
    say(text, entry.text);
  };
  item.follow = (now) => say(time, moment(at, now));
  return item;
}
