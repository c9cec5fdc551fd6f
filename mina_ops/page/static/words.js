// Numbers, times and names as this page writes them.

/** A number with as many digits as one can use; what is missing is a dash. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const digits = Math.abs(value) < 10 && value % 1 !== 0 ? 2 : 0;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** A part in percent: 0.02 %, 99.9 %, 100 %. Never 100 % or 0 % of what is not quite that. */
export function percent(value) {
  if (value === null || value === undefined) return "–";
  const digits = value > 99 || value < 1 ? 2 : 1;
  let shown = Number(value.toFixed(digits));
  if (shown >= 100 && value < 100) shown = 99.99;
  if (shown <= 0 && value > 0) shown = 0.01;
  return `${shown.toLocaleString("en", { maximumFractionDigits: 2 })} %`;
}

/** A length of time: 0.4 s, 40 s, 3 min, 2 h, 5 days. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** A moment: the time of a day of today, else day and month. `now` and `at` in unix seconds. */
export function moment(at, now) {
  if (!at) return "";
  const then = new Date(at * 1000);
  const today = new Date(now * 1000).toDateString() === then.toDateString();
  const clock = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (today) return then.toLocaleTimeString("en-GB", clock);
  return then.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** "1 session", "3 sessions". */
export function count(many, one, several = `${one}s`) {
  return `${number(many)} ${many === 1 ? one : several}`;
}

/** Who acted: "token:ops" is shown as "ops". */
export function who(actor) {
  return (actor ?? "").replace(/^(token|user):/, "");
}
