/**
 * Numbered streams that survive a change of server: no chunk lost, none handled twice, in order.
 *
 * Works beside stock socket.io-client 4, in a page (window.MinaStream) or in node (require).
 *
 *     const stream = new MinaStream(io("/live"), { event: "audio:chunk" });
 *     stream.send({ data: bytes }).then((ack) => ...);
 *
 * Each chunk goes out as `event` with { ...payload, stream, seq } and an acknowledgement; seq
 * counts from 1. Chunks wait here while the socket is offline or the server hands the session
 * over (`session:handoff`), and what was not acknowledged goes out again, in order, after the
 * reconnect. The server tells duplicates apart: `ops.streams.receive(stream, seq)`.
 */
(function (root, make) {
  "use strict";
  if (typeof module === "object" && module.exports) module.exports = make();
  else root.MinaStream = make();
})(typeof self === "undefined" ? this : self, function () {
  "use strict";

  const ACK_TIMEOUT_MS = 2000;
  const WINDOW = 8;
  const LIMIT = 100000;
  // Without an answer the patience doubles, up to this: a slow server is not buried in repeats.
  const LONGEST_ACK_TIMEOUT_MS = 60000;
  // The server waits up to 1 s for a hand-off's acknowledgement.
  const HANDOFF_WAIT_MS = 800;
  // A hand-off that no disconnect follows was cancelled.
  const HANDOFF_LASTS_MS = 10000;

  const streamsOf = new WeakMap();

  /** Watches a socket once for all streams on it, since a hand-off is acknowledged once. */
  function watch(socket, stream) {
    const known = streamsOf.get(socket);
    if (known) {
      known.add(stream);
      return;
    }
    const streams = new Set([stream]);
    streamsOf.set(socket, streams);
    socket.on("connect", () => streams.forEach((one) => one._resume()));
    socket.on("disconnect", () => streams.forEach((one) => one._rewind()));
    socket.on("session:handoff", (_message, acknowledge) => {
      const settled = [...streams].map((one) => one._pause());
      const late = new Promise((resolve) => setTimeout(resolve, HANDOFF_WAIT_MS));
      Promise.race([Promise.all(settled), late]).then(() => acknowledge && acknowledge());
    });
  }

  class MinaStream {
    /**
     * @param socket a socket.io-client Socket, connected or not.
     * @param options.event name of the event that carries a chunk.
     * @param options.stream the stream's id; default: a new one.
     * @param options.window chunks under way at a time (8).
     * @param options.ackTimeout milliseconds until chunks are sent again (2000); doubles each time.
     * @param options.limit chunks that may wait; send() rejects beyond (100000).
     * @param options.onChange called with the stream whenever its counts change.
     */
    constructor(socket, options) {
      const given = options || {};
      if (!given.event) throw new TypeError("MinaStream: options.event is missing");
      this.socket = socket;
      this.event = given.event;
      this.stream = given.stream || newId();
      this.sent = 0;
      this.acknowledged = 0;
      this.paused = false;
      this._window = given.window || WINDOW;
      this._ackTimeout = given.ackTimeout || ACK_TIMEOUT_MS;
      this._limit = given.limit || LIMIT;
      this._onChange = given.onChange || (() => {});
      this._queue = [];
      this._underWay = 0;
      this._patience = this._ackTimeout;
      this._settled = [];
      watch(socket, this);
    }

    /** Chunks that are not acknowledged yet. */
    get waiting() {
      return this._queue.length;
    }

    /** Queues a chunk; resolves with the server's acknowledgement, rejects if it never will be. */
    send(payload) {
      if (this._queue.length >= this._limit) {
        return Promise.reject(new Error("MinaStream: too many chunks wait"));
      }
      this.sent += 1;
      const message = { ...payload, stream: this.stream, seq: this.sent };
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
      const streams = streamsOf.get(this.socket);
      if (streams) streams.delete(this);
      this.paused = true;
      this._rewind();
    }

    _pump() {
      while (!this.paused && this.socket.connected && this._underWay < this._window) {
        const chunk = this._queue[this._underWay];
        if (!chunk) return;
        this._underWay += 1;
        // A late answer counts as well, whichever time the chunk was sent.
        this.socket.emit(this.event, chunk.message, (ack) => this._done(chunk, ack));
        if (this._underWay === 1) this._expectAnswer();
      }
    }

    _expectAnswer() {
      clearTimeout(this._silence);
      if (this._underWay === 0) return;
      this._silence = setTimeout(() => {
        this._patience = Math.min(this._patience * 2, LONGEST_ACK_TIMEOUT_MS);
        this._rewind();
        this._pump();
      }, this._patience);
    }

    _done(chunk, ack) {
      const place = this._queue.indexOf(chunk);
      if (place < 0) return;
      this._queue.splice(place, 1);
      if (place < this._underWay) this._underWay -= 1;
      this._patience = this._ackTimeout;
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

    _resume() {
      clearTimeout(this._cancelled);
      this.paused = false;
      this._rewind();
      this._pump();
    }

    _settle() {
      if (this._underWay > 0) return;
      this._settled.splice(0).forEach((resolve) => resolve());
    }
  }

  function newId() {
    if (typeof crypto !== "undefined" && crypto.randomUUID) return crypto.randomUUID();
    const random = () => Math.random().toString(36).slice(2);
    return `${Date.now().toString(36)}-${random()}${random()}`;
  }

  return MinaStream;
});
