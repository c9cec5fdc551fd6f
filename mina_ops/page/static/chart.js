// One hour of one figure for both colours, as a small picture with a text for screen readers.
import { draw } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 34;
const HOUR = 3600;
const GAP_SECONDS = 150;

/** An SVG with a method `mend(series, marks, now, text)`; a series is [[at, value or null], ...]. */
export function chart() {
  const title = draw("title");
  const marks = draw("g", { class: "marks" });
  const lines = ["left", "right"].map((side) => draw("path", { class: `line ${side}` }));
  const svg = draw("svg", {
    class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none",
  }, title, marks, ...lines);

  svg.mend = (series, events, now, text) => {
    const x = (at) => WIDTH * (1 - (now - at) / HOUR);
    const highest = Math.max(...series.flat().map(([, value]) => value ?? 0), 0);
    const y = (value) => HEIGHT - 2 - (highest ? (value / highest) * (HEIGHT - 5) : 0);
    series.forEach((points, side) => lines[side].setAttribute("d", path(points, x, y)));
    marks.replaceChildren(...events.filter((event) => event.at > now - HOUR).map((event) =>
      draw("line", { class: event.kind, x1: x(event.at), x2: x(event.at), y1: 0, y2: HEIGHT },
        draw("title", {}, event.text))));
    if (title.textContent !== text) {
      title.textContent = text;
      svg.setAttribute("aria-label", text);
    }
  };
  return svg;
}

// Where a minute is missing the line ends, so that nothing is drawn that was not measured.
function path(points, x, y) {
  let drawn = "";
  let last = null;
  for (const [at, value] of points) {
    if (value === null || value === undefined) {
      last = null;
      continue;
    }
    const joined = last !== null && at - last < GAP_SECONDS;
    drawn += `${joined ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    if (!joined) drawn += "h0.6";
    last = at;
  }
  return drawn;
}
