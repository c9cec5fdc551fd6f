// Both colours' figures side by side, each with its limit and its last hour.
import { chart } from "./chart.js";
import { make, say } from "./dom.js";
import { count, number, percent } from "./words.js";

const ROWS = [
  { key: "requests_per_second", name: "requests/s", text: number },
  { key: "error_rate", name: "errors", text: percent },
  { key: "p95_ms", name: "P95", text: (value) => (value === null ? "–" : `${number(value)} ms`) },
  { key: "handshakes", name: "handshakes", text: percent },
  { key: "sessions", name: "live sessions", text: number },
  { key: "share", name: "share", text: percent },
];

export function figuresView(root) {
  const heads = [make("th", { scope: "col" }), make("th", { scope: "col" })];
  const rows = ROWS.map(rowView);
  root.append(make("table", { class: "figures" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "figure"), ...heads,
      make("th", { scope: "col" }, "limit"), make("th", { scope: "col" }, "last hour"))),
    make("tbody", {}, ...rows.map((row) => row.root))));

  return ({ data, silent }) => {
    if (!data) return;
    heads.forEach((head, side) => say(head, data.order[side]));
    root.classList.toggle("old", silent > 2.5 || data.order.every((name) => data.colours[name].stale));
    for (const row of rows) row.mend(data);
  };
}

function rowView({ key, name, text }) {
  const cells = ["left", "right"].map((side) => make("td", { class: `value ${side}` }));
  const values = cells.map((cell) => {
    const value = make("span", { class: "number" });
    const why = make("span", { class: "why small" });
    cell.append(value, why);
    return { value, why };
  });
  const limit = make("td", { class: "limit" });
  const picture = chart();
  const root = make("tr", {}, make("th", { scope: "row" }, name), ...cells, limit,
    make("td", { class: "hour" }, picture));

  function mend(data) {
    const bound = data.limits[key];
    say(limit, bound?.text ?? "");
    data.order.forEach((colour, side) => {
      const figure = figureOf(data.colours[colour], key);
      say(values[side].value, text(figure.value));
      say(values[side].why, figure.why ?? (figure.value === null ? "no data" : ""));
      cells[side].dataset.judged = bound?.broken_by?.includes(colour) ? "bad" : "";
    });
    const series = data.order.map((colour) =>
      data.history.points.map((point) => [point.at, point[colour]?.[key] ?? null]));
    picture.mend(series, data.history.marks, data.at, told(name, data.order, series, text));
  }
  return { root, mend };
}

function figureOf(colour, key) {
  if (key === "sessions") return { value: colour.sessions, why: null };
  if (key === "share") return { value: colour.share.seen, why: colour.share.seen === null ? "no request yet" : null };
  return colour.figures[key];
}

function told(name, order, series, text) {
  const parts = order.map((colour, side) => {
    const known = series[side].map(([, value]) => value).filter((value) => value !== null);
    if (!known.length) return `${colour} without data`;
    return `${colour} ${text(Math.min(...known))} to ${text(Math.max(...known))}, now ${text(known.at(-1))}`;
  });
  return `${name} over the last hour: ${parts.join("; ")}; ${count(series[0].length, "minute")} known`;
}
