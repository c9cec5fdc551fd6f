// The one source of what the page shows: asks for the data each second and tells all views.

const EVERY_MS = 1000;
const PATIENCE_MS = 4000;
const HOUR = 3600;

/**
 * What views are given: `data` (null before the first answer), `silent` (seconds since the last
 * answer), `problem` (why none came, in words; null while they come).
 */
export class Store {
  #views = [];
  #tag = null;
  #heard = null;
  #timer = null;
  #wanted = 0;
  state = { data: null, silent: 0, problem: null };

  constructor({ onLocked }) {
    this.onLocked = onLocked;
  }

  /** Call `view(state)` after each answer, and each second while none comes. */
  follow(view) {
    this.#views.push(view);
  }

  /** Begin, or ask again at once. */
  ask() {
    clearTimeout(this.#timer);
    this.#once();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#wanted += 1;
  }

  async #once() {
    const turn = ++this.#wanted;
    const locked = await this.#fetch();
    if (turn !== this.#wanted) return;
    this.state.silent = this.#heard === null ? 0 : (performance.now() - this.#heard) / 1000;
    if (locked) return;
    for (const view of this.#views) view(this.state);
    this.#timer = setTimeout(() => this.#once(), EVERY_MS);
  }

  async #fetch() {
    const points = this.state.data?.history?.points ?? [];
    const after = points.length ? `?after=${points.at(-1).at}` : "";
    const headers = this.#tag ? { "If-None-Match": this.#tag } : {};
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const answer = await fetch(`data${after}`, { headers, signal, cache: "no-store" });
      if (answer.status === 401) {
        this.onLocked();
        return true;
      }
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(`the app answers ${answer.status}`);
        this.#take(await answer.json(), answer.headers.get("ETag"));
      }
      this.#heard = performance.now();
      this.state.problem = null;
    } catch (error) {
      this.state.problem = error.message.startsWith("the app") ? error.message : "the app does not answer";
    }
    return false;
  }

  #take(data, tag) {
    const known = this.state.data?.history?.points ?? [];
    const fresh = data.history.points;
    const from = fresh.length ? fresh[0].at : Infinity;
    const points = known.filter((point) => point.at < from).concat(fresh);
    data.history.points = points.filter((point) => point.at > data.at - HOUR - 60);
    this.state.data = data;
    this.#tag = tag;
  }
}
