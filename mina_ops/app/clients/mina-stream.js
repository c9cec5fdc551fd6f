/**
 * Conversations that survive a change of server without a gap, beside stock socket.io-client 4.
 *
 *     const socket = MinaStream.connect(io, "/live", { auth });   // instead of io("/live", { auth })
 *     socket.on("transcript", show);
 *     const stream = new MinaStream(socket, { event: "audio:chunk" });
 *     stream.send({ data: bytes }).then((ack) => ...);
 *
 * When a server hands the session over (`session:handoff`), the socket connects to the other one
 * first, moves there with all namespaces and streams of its connection, and only then lets the old
 * connection go. Handlers stay as they are. Where the other server does not answer in time, it
 * comes back as every stock client does.
 *
 * A stream's chunks go out as `event` with { ...payload, stream, seq, run } and an acknowledgement.
 * What was not acknowledged goes out again, in order; a chunk is never under way on two servers.
 * The server tells duplicates apart: `ops.streams.receive(stream, seq)`.
 *
 * A page with <meta name="mina-release" content="{{ mina_release }}"> stays with its release while
 * that lives, after new visitors go to the next one, and hears of it:
 *
 *     MinaStream.fetch("/api/sessions").then(...);          // instead of fetch
 *     form.action = MinaStream.ofRelease(form.action);      // forms and links have no header
 *     MinaStream.onReleaseChanged(({ release }) => offerReload(release));
 *
 * In a page: window.MinaStream. In node and bundlers: require("mina-stream").
 */
(function (root, make) {
  "use strict";
  if (typeof module === "object" && module.exports) module.exports = make();
  else root.MinaStream = make();
})(typeof self === "undefined" ? this : self, function () {
  "use strict";

  // How long a server may be silent; one that answers slowly has twice the time that it takes.
  const ACK_TIMEOUT_MS = 2000;
  const TIMES_ROUND_TRIP = 2;
  const WINDOW = 8;
  const LIMIT = 100000;
  // Without an answer the patience doubles, up to this, and fewer chunks are under way until
  // answers come again: a slow server is not buried in repeats.
  const LONGEST_ACK_TIMEOUT_MS = 60000;
  // Between two tries of a chunk that a server does not take yet.
  const LONGEST_PAUSE_MS = 1000;
  // The server waits up to 1 s for a hand-off's acknowledgement.
  const HANDOFF_WAIT_MS = 800;
  // And up to 5 s for a client that says that it is connecting elsewhere.
  const MOVE_MS = 4000;
  // The server ends the old connection once nothing is left in it; it has this long for that.
  const LET_GO_MS = 15000;
  // A hand-off that no disconnect follows was cancelled.
  const HANDOFF_LASTS_MS = 10000;
  const OWN_EVENTS = ["connect", "connect_error", "disconnect"];
  // What the server adds to events of namespaces that it can recover.
  const OFFSET = /^~mo1~/;
  const MOST_REMEMBERED = 5000;

  const RELEASE_HEADER = "X-Mina-Release";
  const CHANGED_HEADER = "X-Mina-Release-Changed";
  const CHANGED_EVENT = "release:changed";

  const moving = new WeakMap(); // stock Manager -> Connection
  const facades = new WeakMap(); // stock Socket -> MovingSocket

  /** What all namespaces of one connection share: they move together. */
  class Connection {
    constructor() {
      this.sockets = new Set();
      this.acknowledge = [];
      this.move = null;
    }

    /** A hand-off reached one of the namespaces; each has its own, any answer is enough. */
    handedOff(message, acknowledge) {
      if (acknowledge) this.acknowledge.push(acknowledge);
      if (this.move) return;
      this.move = this._move(message).finally(() => { this.move = null; });
    }

    async _move() {
      const sockets = [...this.sockets];
      const connects = sockets.map((one) => one._connects);
      const next = sockets.every((one) => one._open) ? await this._connect(sockets) : null;
      if (!next) {
        await this._settle(sockets, HANDOFF_WAIT_MS);
        sockets.forEach((one, place) => one._park(connects[place]));
        this._answer();
        return;
      }
      const settled = this._settle(sockets, HANDOFF_WAIT_MS);
      const left = sockets.map((one) => one._swap(next.get(one)));
      await settled;
      this._answer();
      sockets.forEach((one) => one._streams.forEach((stream) => stream._mayMove(one._letGo)));
      await Promise.all(left);
    }

    /** Socket -> its successor, connected; null if that could not be had. */
    async _connect(sockets) {
      sockets[0].inner.emit("session:moving");
      const next = new Map();
      let manager = null;
      for (const one of sockets) {
        const successor = one._open(manager);
        manager = manager || successor.io;
        next.set(one, successor);
        one._hold(successor);
      }
      const connected = Promise.all([...next.values()].map(connects));
      const late = pause(MOVE_MS).then(() => { throw new Error("too late"); });
      try {
        await Promise.race([connected, late]);
        return next;
      } catch {
        for (const one of next.keys()) one._release();
        next.forEach((successor) => successor.disconnect());
        return null;
      }
    }

    _settle(sockets, patience) {
      const streams = sockets.flatMap((one) => [...one._streams]);
      const settled = [...streams.map((one) => one._pause()), ...sockets.map((one) => one._quiet())];
      return Promise.race([Promise.all(settled), pause(patience)]);
    }

    _answer() {
      this.acknowledge.splice(0).forEach((acknowledge) => acknowledge());
    }
  }

  /** A stock socket's public face, which stays the same while the socket behind it changes. */
  class MovingSocket {
    constructor(inner, open, onMove) {
      this.recovered = false;
      this.moves = 0;
      this._open = open;
      this._onMove = onMove || (() => {});
      this._handlers = new Map();
      this._any = [];
      this._streams = new Set();
      this._held = null;
      this._last = new Set();
      this._underWay = 0;
      this._parked = null;
      this._connects = 0;
      this._idle = [];
      this._letGo = Promise.resolve();
      this._take(inner);
    }

    /** The stock socket that is in use now. */
    get inner() { return this._inner; }
    get id() { return this._inner.id; }
    get connected() { return this._inner.connected; }
    get disconnected() { return !this._inner.connected; }
    get active() { return this._inner.active; }
    get io() { return this._inner.io; }
    get nsp() { return this._inner.nsp; }
    get auth() { return this._inner.auth; }
    set auth(value) { this._inner.auth = value; }
    get volatile() { return this._inner.volatile; }

    connect() { this._inner.connect(); return this; }
    disconnect() { this._inner.disconnect(); return this; }
    open() { return this.connect(); }
    close() { return this.disconnect(); }
    send(...args) { return this.emit("message", ...args); }
    timeout(milliseconds) { return this._inner.timeout(milliseconds); }
    compress(value) { this._inner.compress(value); return this; }
    emitWithAck(event, ...args) {
      return new Promise((resolve) => { this.emit(event, ...args, resolve); });
    }

    emit(event, ...args) {
      if (this._parked) {
        this._parked.push([event, args]);
        return this;
      }
      const answer = args[args.length - 1];
      if (typeof answer === "function") {
        this._underWay += 1;
        const socket = this._inner;
        args[args.length - 1] = (...result) => {
          if (socket === this._inner) this._underWay = Math.max(0, this._underWay - 1);
          if (this._underWay === 0) this._idle.splice(0).forEach((resolve) => resolve());
          answer(...result);
        };
      }
      this._inner.emit(event, ...args);
      return this;
    }

    on(event, handler) { return this._add(event, { handler }); }
    once(event, handler) { return this._add(event, { handler, once: true }); }
    off(event, handler) {
      if (event === undefined) this._handlers.clear();
      else if (handler === undefined) this._handlers.delete(event);
      else this._handlers.set(event, this._of(event).filter((one) => one.handler !== handler));
      return this;
    }
    listeners(event) { return this._of(event).map((one) => one.handler); }
    hasListeners(event) { return this._of(event).length > 0; }
    onAny(handler) { this._any.push(handler); return this; }
    prependAny(handler) { this._any.unshift(handler); return this; }
    offAny(handler) { this._any = handler ? this._any.filter((one) => one !== handler) : []; return this; }
    listenersAny() { return this._any; }

    _of(event) { return this._handlers.get(event) || []; }
    _add(event, entry) {
      this._handlers.set(event, [...this._of(event), entry]);
      return this;
    }

    _call(event, args) {
      for (const entry of this._of(event)) {
        if (entry.once) this.off(event, entry.handler);
        entry.handler.apply(this, args);
      }
    }

    /** Use a stock socket from now on. */
    _take(inner) {
      this._inner = inner;
      facades.set(inner, this);
      if (!moving.has(inner.io)) moving.set(inner.io, new Connection());
      this._connection = moving.get(inner.io);
      this._connection.sockets.add(this);
      if (this._held && this._held.socket === inner) return;
      this._watch(inner);
    }

    _watch(inner) {
      inner.onAny((event, ...args) => this._arrived(inner, event, args));
      for (const event of OWN_EVENTS) inner.on(event, (...args) => this._changed(inner, event, args));
    }

    _changed(inner, event, args) {
      if (inner !== this._inner) return;
      if (event !== "connect_error") this._unpark();
      if (event === "connect") {
        this._connects += 1;
        this.recovered = Boolean(inner.recovered);
        this._streams.forEach((stream) => stream._resume());
        this._call(event, [{ moved: false, recovered: this.recovered }]);
        return;
      }
      if (event === "disconnect") {
        this._underWay = 0;
        this._streams.forEach((stream) => stream._rewind());
      }
      this._call(event, args);
    }

    _arrived(inner, event, args) {
      if (event === "session:handoff" && inner === this._inner) {
        const acknowledge = typeof args[args.length - 1] === "function" ? args.pop() : null;
        if (args[0] && args[0].pid) this._pid = args[0].pid;
        this._connection.handedOff(args[0], acknowledge);
      }
      if (this._held && this._held.socket === inner) this._held.events.push([event, args]);
      else this._deliver(event, args);
    }

    /** Hand an event to the page, once, whichever of two connections it came over. */
    _deliver(event, args) {
      const last = args[args.length - 1];
      if (typeof last === "string" && OFFSET.test(last)) {
        args.pop();
        this._offset = last;
        const id = last.split("@")[0];
        // The next connection may bring late what the old one brought before it ended.
        if (this._last.has(id)) return;
        this._remember(id);
      }
      for (const handler of [...this._any]) handler.apply(this, [event, ...args]);
      this._call(event, args);
    }

    /** The last events, so that what comes again over the next connection is known. */
    _remember(id) {
      this._last.add(id);
      if (this._last.size > MOST_REMEMBERED) this._last.delete(this._last.values().next().value);
    }

    /** Keep what the next socket receives until the present one has nothing more to say. */
    _hold(next) {
      this._held = { socket: next, events: [], id: this._inner.id };
      this._watch(next);
    }

    _release() {
      this._held = null;
    }

    /** Go on with the next socket; resolves once the present one is gone. */
    _swap(next) {
      const previous = this._inner;
      // Public API of the manager: it must not come back by itself.
      previous.io.reconnection(false);
      this._connection.sockets.delete(this);
      // Not `previous.id`: that is gone if the old connection broke during the move.
      this.recovered = Boolean(this._pid) && next.id === this._held.id;
      this._underWay = 0;
      this._take(next);
      this.moves += 1;
      this._onMove(next, previous);
      this._call("connect", [{ moved: true, recovered: this.recovered }]);
      this._letGo = gone(previous, LET_GO_MS).then(() => {
        previous.disconnect();
        const events = this._held ? this._held.events : [];
        this._held = null;
        events.forEach(([event, args]) => this._deliver(event, args));
      });
      return this._letGo;
    }

    /**
     * Keep what the page emits until the server has ended the connection: it was told that nothing
     * more comes, and what is under way then is lost. Stock sockets keep it from there on.
     *
     * @param connects how often it had connected as the hand-off came. Once more means that the old
     *     connection broke meanwhile, and this one was told nothing.
     */
    _park(connects) {
      if (this._connects === connects) this._parked = [];
    }

    _unpark() {
      const parked = this._parked || [];
      this._parked = null;
      parked.forEach(([event, args]) => this.emit(event, ...args));
    }

    _quiet() {
      return this._underWay === 0 ? Promise.resolve() : new Promise((done) => this._idle.push(done));
    }
  }

  /** The release that this page is of, and who wants to hear that another one serves. */
  class PageRelease {
    constructor() {
      const meta = typeof document === "undefined" ? null : document.querySelector("meta[name=mina-release]");
      this.name = (meta && meta.content) || "";
      this._heard = null;
      this._handlers = [];
    }

    /** What a server said: the release that a reload leads to. Each is told once. */
    changed(release) {
      if (!release || (this._heard && this._heard.release === release)) return;
      this._heard = { release, page: this.name };
      this._handlers.forEach((handler) => handler(this._heard));
    }

    onChanged(handler) {
      this._handlers.push(handler);
      if (this._heard) handler(this._heard);
    }

    async fetch(input, init) {
      const request = new Request(input, init);
      if (!this.name || new URL(request.url).origin !== location.origin) return fetch(request);
      request.headers.set(RELEASE_HEADER, this.name);
      const response = await fetch(request);
      const changed = response.headers.get(CHANGED_HEADER);
      if (changed) this.changed(decodeURIComponent(changed));
      return response;
    }

    url(address) {
      const url = new URL(address, document.baseURI);
      if (this.name && url.origin === location.origin) url.searchParams.set("mina_release", this.name);
      return url.href;
    }

    /** socket.io's options, with the release in the query of its handshakes. */
    options(given) {
      if (!this.name) return given;
      return { ...given, query: { mina_release: this.name, ...given.query } };
    }
  }

  const page = new PageRelease();

  class MinaStream {
    /** The release that this page is of; "" where it names none. */
    static get release() { return page.name; }

    /** Like fetch; a request to this site names the page's release, so that it answers. */
    static fetch(input, init) { return page.fetch(input, init); }

    /** An address of this site for a form or link that shall meet the page's release. */
    static ofRelease(address) { return page.url(address); }

    /**
     * Calls handler({ release, page }) when a reload would lead to another release than the page's:
     * an answer to `MinaStream.fetch`, or a socket of `MinaStream.connect`, said so.
     */
    static onReleaseChanged(handler) { page.onChanged(handler); }

    /**
     * Like io(uri, options) of stock socket.io-client, with a socket that moves; see above.
     * `connect` handlers get { moved, recovered }: after a move the session is a new one on the
     * server, unless it was recovered.
     */
    static connect(io, uri, options) {
      const given = page.options({ ...(typeof uri === "object" ? uri : options) });
      const address = typeof uri === "string" ? uri : undefined;
      const make = (more) => (address === undefined ? io({ ...given, ...more }) : io(address, { ...given, ...more }));
      const open = (manager) => {
        const auth = authOnce(given.auth, socket);
        if (!manager) return make({ auth, forceNew: true });
        return manager.socket(namespaceOf(address), { ...given, auth }).connect();
      };
      const socket = new MovingSocket(make({}), open);
      socket.on(CHANGED_EVENT, (said) => page.changed(said && said.release));
      return socket;
    }

    /**
     * @param socket of `MinaStream.connect`, or a stock Socket. A stock one moves too where
     *     `options.open` makes its successor, as () => io("/live", { forceNew: true }), and
     *     `options.onMove(next, previous)` carries the page's handlers over.
     * @param options.event name of the event that carries a chunk.
     * @param options.stream the stream's id; default: a new one. A page that begins anew with an
     *     id that was used before goes on after the last number that the server has handled.
     * @param options.window chunks under way at a time (8); fewer while the server is silent.
     * @param options.ackTimeout milliseconds of silence until chunks are sent again (2000); twice
     *     the usual time to an answer if that is longer; doubles each time.
     * @param options.limit chunks that may wait; send() rejects beyond (100000).
     * @param options.onChange called with the stream whenever its counts change.
     */
    constructor(socket, options) {
      const given = options || {};
      if (!given.event) throw new TypeError("MinaStream: options.event is missing");
      this.event = given.event;
      this.stream = given.stream || newId();
      this.sent = 0;
      this.acknowledged = 0;
      this.paused = false;
      this._base = 0;
      this._run = `${newId()}@0`;
      this._window = this._allowed = given.window || WINDOW;
      this._ackTimeout = given.ackTimeout || ACK_TIMEOUT_MS;
      this._limit = given.limit || LIMIT;
      this._onChange = given.onChange || (() => {});
      this._queue = [];
      this._underWay = 0;
      this._waited = 0;
      this._patience = this._ackTimeout;
      this._settled = [];
      this._line = socket instanceof MovingSocket ? socket
        : facades.get(socket) || new MovingSocket(socket, given.open, given.onMove);
      this._line._streams.add(this);
    }

    /** The socket that chunks go over now. */
    get socket() {
      return this._line;
    }

    /** Chunks that are not acknowledged yet. */
    get waiting() {
      return this._queue.length;
    }

    /** Queues a chunk; resolves with the server's acknowledgement, rejects if it never will be. */
    send(payload) {
      if (this._over) return Promise.reject(this._over);
      if (this._queue.length >= this._limit) {
        return Promise.reject(new Error("MinaStream: too many chunks wait"));
      }
      this.sent += 1;
      const message = { ...payload, stream: this.stream, seq: this._base + this.sent, run: this._run };
      const chunk = { message };
      const result = new Promise((resolve, reject) => Object.assign(chunk, { resolve, reject }));
      chunk.over = result.then(() => {}, () => {});
      this._queue.push(chunk);
      this._onChange(this);
      this._pump();
      return result;
    }

    /** Resolves when the server has answered every chunk so far. */
    flushed() {
      return Promise.all(this._queue.map((chunk) => chunk.over)).then(() => {});
    }

    /** Leaves the socket alone from now on; what waits is not sent. */
    close() {
      this._line._streams.delete(this);
      this.paused = true;
      this._rewind();
    }

    _pump() {
      if (this._again) return;
      while (!this.paused && this._line.connected && this._underWay < Math.floor(this._allowed)) {
        const chunk = this._queue[this._underWay];
        if (!chunk) return;
        this._underWay += 1;
        chunk.tries = (chunk.tries || 0) + 1;
        chunk.sentAt = Date.now();
        const run = this._run;
        // A late answer counts as well, whichever time the chunk was sent.
        this._line.inner.emit(this.event, chunk.message, (ack) => this._done(chunk, ack, run));
        if (this._underWay === 1) this._expectAnswer();
      }
    }

    _expectAnswer() {
      clearTimeout(this._silence);
      if (this._underWay === 0) return;
      this._silence = setTimeout(() => {
        this._patience = Math.min(this._patience * 2, LONGEST_ACK_TIMEOUT_MS);
        this._allowed = 1;
        this._rewind();
        this._pump();
      }, this._patience);
    }

    _done(chunk, ack, run) {
      const place = this._queue.indexOf(chunk);
      if (place < 0) return;
      if (ack && ack.code === "stream_taken") {
        if (run === this._run) this._beginAgain(ack);
        return;
      }
      if (ack && ack.code === "out_of_order") {
        this._sendAgain(ack.retry_after_ms || 0);
        return;
      }
      this._queue.splice(place, 1);
      if (place < this._underWay) this._underWay -= 1;
      this._learn(chunk);
      this._begun = true;
      this._waited = 0;
      this._expectAnswer();
      if (ack && ack.error) {
        chunk.reject(new Error(String(ack.error)));
      } else {
        this.acknowledged += 1;
        chunk.resolve(ack);
      }
      this._settle();
      this._onChange(this);
      this._pump();
    }

    /** An answer came: let more be under way, and learn how long answers take. */
    _learn(chunk) {
      this._allowed = Math.min(this._window, this._allowed + 1 / this._allowed);
      // Of a chunk that was sent twice nobody knows which of them was answered.
      if (chunk.tries > 1) return;
      const took = Date.now() - chunk.sentAt;
      this._roundTrip = this._roundTrip === undefined ? took : 0.8 * this._roundTrip + 0.2 * took;
      const patience = Math.max(this._ackTimeout, TIMES_ROUND_TRIP * this._roundTrip);
      this._patience = Math.min(patience, LONGEST_ACK_TIMEOUT_MS);
    }

    /** The server did not take a chunk, as the one before it was missing: all again, in order. */
    _sendAgain(afterMilliseconds) {
      if (this._again) return;
      this._rewind();
      // One at a time asks whether it is taken by now, more and more rarely: after half of the time
      // that it has waited already.
      this._allowed = 1;
      const pauseMs = Math.min(Math.max(afterMilliseconds, this._waited / 2), LONGEST_PAUSE_MS);
      this._waited += pauseMs;
      this._again = setTimeout(() => {
        this._again = undefined;
        this._pump();
      }, pauseMs);
    }

    /** Others have sent this stream: go on after them, or, if they took it over, say so. */
    _beginAgain(ack) {
      if (this._begun) {
        this._over = new Error(ack.error);
        this._queue.splice(0).forEach((chunk) => chunk.reject(this._over));
        this.close();
        return;
      }
      this._base = ack.mark;
      this._run = `${newId()}@${ack.mark}`;
      this._queue.forEach((chunk, place) => {
        chunk.message = { ...chunk.message, seq: this._base + place + 1, run: this._run };
      });
      this._rewind();
      this._pump();
    }

    /** What is not acknowledged counts as not sent. */
    _rewind() {
      clearTimeout(this._silence);
      this._underWay = 0;
      this._settle();
      this._onChange(this);
    }

    _pause() {
      this.paused = true;
      clearTimeout(this._cancelled);
      this._cancelled = setTimeout(() => this._resume(), HANDOFF_LASTS_MS);
      if (this._cancelled.unref) this._cancelled.unref();
      this._onChange(this);
      if (this._underWay === 0) return Promise.resolve();
      return new Promise((resolve) => this._settled.push(resolve));
    }

    /** Go on over the next socket: at once, or when the old one, which has chunks, is gone. */
    _mayMove(letGo) {
      clearTimeout(this._cancelled);
      if (this._underWay === 0) this._resume();
      else letGo.then(() => this._resume());
    }

    _resume() {
      clearTimeout(this._cancelled);
      this.paused = false;
      // How slow the last connection was says nothing of this one.
      this._patience = this._ackTimeout;
      this._rewind();
      this._pump();
    }

    _settle() {
      if (this._underWay > 0) return;
      this._settled.splice(0).forEach((resolve) => resolve());
    }
  }

  /** Resolves once a socket is connected; rejects if its server turned it away for good. */
  function connects(socket) {
    return new Promise((resolve, reject) => {
      if (socket.connected) resolve();
      socket.once("connect", resolve);
      socket.on("connect_error", (error) => { if (!socket.active) reject(error); });
    });
  }

  /** Resolves once a socket has ended, or has had its time. */
  function gone(socket, patience) {
    if (!socket.connected) return Promise.resolve();
    const ended = new Promise((resolve) => { socket.once("disconnect", resolve); });
    return Promise.race([ended, pause(patience)]);
  }

  function pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      if (timer.unref) timer.unref();
    });
  }

  /** The page's auth, with what recovers the session the first time; stock ones do it later. */
  function authOnce(auth, socket) {
    let first = Boolean(socket._pid);
    const { _pid: pid, _offset: offset } = socket;
    return (send) => {
      const complete = (data) => {
        send(first ? { ...data, pid, offset } : data);
        first = false;
      };
      if (typeof auth === "function") auth(complete);
      else complete(auth);
    };
  }

  function namespaceOf(address) {
    const path = String(address || "/").replace(/^[a-z]+:\/\/[^/?]*/i, "").split("?")[0];
    return path || "/";
  }

  function newId() {
    if (typeof crypto !== "undefined" && crypto.randomUUID) return crypto.randomUUID();
    const random = () => Math.random().toString(36).slice(2);
    return `${Date.now().toString(36)}-${random()}${random()}`;
  }

  MinaStream.MovingSocket = MovingSocket;
  return MinaStream;
});
