// The first line: is anything wrong? One sentence, the worst first.
import { make, say } from "./dom.js";
import { duration } from "./words.js";

const SILENT_SECONDS = 2.5;

export function verdictView(root) {
  const sentence = make("strong", { class: "sentence" });
  const mark = make("span", { class: "mark", "aria-hidden": "true" });
  const rest = make("details", { class: "rest", hidden: true });
  const more = make("summary");
  const others = make("ul");
  rest.append(more, others);
  root.append(make("p", { class: "line" }, mark, " ", sentence), rest);

  return ({ data, silent, problem }) => {
    const found = sentences(data, silent, problem);
    const worst = found[0];
    root.dataset.level = worst?.level ?? "well";
    say(mark, { alarm: "▲", warning: "△" }[worst?.level] ?? "●");
    say(sentence, worst?.text ?? "all well");
    rest.hidden = found.length < 2;
    say(more, `and ${found.length - 1} more`);
    const wanted = found.slice(1).map((one) => one.text);
    if (others.dataset.shown !== wanted.join("\n")) {
      others.dataset.shown = wanted.join("\n");
      others.replaceChildren(...wanted.map((text) => make("li", {}, text)));
    }
    document.title = `${worst ? `${worst.level === "alarm" ? "▲ " : "△ "}${worst.text}` : "all well"} · ${data?.product ?? "mina"}`;
  };
}

function sentences(data, silent, problem) {
  const found = [...(data?.verdict ?? [])];
  if (data === null) found.push({ level: "warning", text: problem ?? "asking the app for the first time" });
  else if (problem && silent > SILENT_SECONDS)
    found.unshift({ level: "alarm", text: `figures are ${duration(silent)} old: ${problem}` });
  return found;
}

/** The release in half a line, beside the verdict. */
export function releaseLine(root) {
  return ({ data }) => {
    const release = data?.release;
    if (!release) return say(root, data?.freeze ? `releases are frozen: ${data.freeze.reason}` : "no release");
    const share = release.percent === null ? "" : ` ${release.percent} %`;
    const left = release.seconds_left === null ? "" : `, ${duration(release.seconds_left)} left`;
    const paused = release.paused ? ", paused" : "";
    say(root, `release ${release.version}: ${release.phase_text ?? release.phase}${share}${paused}${left}`);
  };
}

/** How many of `all` are in order, as a colour's head says it. */
export function ready(colour) {
  if (!colour.instances) return "no instance heard";
  return `ready ${colour.ready} of ${colour.instances}`;
}
