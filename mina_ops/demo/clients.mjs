// Hundreds of stock socket.io-client clients, each streaming numbered chunks: half of them with
// the client's own retries, half through mina-stream.js, over sockets that move before they leave.
// Usage: node clients.mjs '{"url", "token", "session_id", "clients", "chunk_interval_ms", "modules"}'
// Reports in JSON lines on stdout; TERM stops the streams, empties the queues and reports last.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";

const options = JSON.parse(process.argv[2]);
const { io } = createRequire(join(options.modules, "clients.mjs"))("socket.io-client");
const MinaStream = createRequire(import.meta.url)("../app/clients/mina-stream.js");

const RAMP_MS = 3000;
const REPORT_MS = 500;
const ACK_TIMEOUT_MS = 10000;
// A server refuses a polling request with more than 16 packets, and a chunk is two.
const CHUNKS_UNDER_WAY = 3;
const LAST_ACKS_MS = 60000;
// A recorder whose buffer is full stops recording: what was recorded must not get lost.
const BUFFERED_CHUNKS = 8;
const GOODBYE_MS = 500;
const EVENT = "audio:chunk";
const CHUNK = Buffer.alloc(320, 1);
// Half of them end on a websocket, half stay with polling; one of four upgrades on the way.
const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"], ["polling"]];

class StreamingClient {
  constructor(number) {
    this.stream = randomUUID();
    this.sent = 0;
    this.acknowledged = 0;
    this.failed = 0;
    this.connects = 0;
    const usesRetries = Math.floor(number / TRANSPORTS.length) % 2 === 0;
    const connect = usesRetries ? io : (url, more) => MinaStream.connect(io, url, more);
    this.socket = connect(`${options.url}/live`, {
      auth: { token: options.token },
      transports: TRANSPORTS[number % TRANSPORTS.length],
      forceNew: true,
      // Each is a visitor of its own: who brings no cookie is told apart by its user agent.
      extraHeaders: { "User-Agent": `mina-demo/${this.stream}` },
      // With these the client keeps what is not acknowledged, and sends it again, in order.
      ...(usesRetries && { retries: 1000, ackTimeout: ACK_TIMEOUT_MS }),
    });
    this.emit = usesRetries ? this.emitWithRetries : this.emitInStream;
    if (usesRetries) {
      this.socket.on("session:handoff", (_message, acknowledge) => acknowledge?.());
    } else {
      this.numbered = new MinaStream(this.socket, {
        event: EVENT,
        stream: this.stream,
        window: CHUNKS_UNDER_WAY,
        ackTimeout: ACK_TIMEOUT_MS,
      });
    }
    this.socket.on("connect", () => { this.connects += 1; });
    this.socket.on("connect_error", (error) => {
      errors.set(error.message, (errors.get(error.message) ?? 0) + 1);
    });
  }

  start() {
    this.timer = setInterval(() => this.send(), options.chunk_interval_ms);
  }

  async send() {
    if (this.waiting >= BUFFERED_CHUNKS) return;
    const seq = ++this.sent;
    try {
      await this.emit(seq, { data: CHUNK, session_id: options.session_id });
      this.acknowledged += 1;
    } catch {
      this.failed += 1;
    }
  }

  emitWithRetries(seq, payload) {
    return new Promise((resolve, reject) => {
      this.socket.emit(EVENT, { ...payload, stream: this.stream, seq }, (error, ack) => {
        if (error || ack.error) reject(error ?? new Error(ack.error));
        else resolve(ack);
      });
    });
  }

  emitInStream(_seq, payload) {
    return this.numbered.send(payload);
  }

  get waiting() {
    return this.sent - this.acknowledged - this.failed;
  }
}

const errors = new Map();
const clients = [];
let final = false;

function sum(of) {
  return clients.reduce((total, client) => total + of(client), 0);
}

function report() {
  const counts = {
    clients: clients.length,
    connected: sum((client) => (client.socket.connected ? 1 : 0)),
    reconnected: sum((client) => (client.connects > 1 ? 1 : 0)),
    reconnects: sum((client) => Math.max(0, client.connects - 1)),
    sent: sum((client) => client.sent),
    acknowledged: sum((client) => client.acknowledged),
    failed: sum((client) => client.failed),
    waiting: sum((client) => client.waiting),
    errors: Object.fromEntries(errors),
    final,
  };
  if (final) counts.streams = Object.fromEntries(clients.map((client) => [client.stream, client.sent]));
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}

async function finish() {
  for (const client of clients) clearInterval(client.timer);
  const deadline = Date.now() + LAST_ACKS_MS;
  while (sum((client) => client.waiting) > 0 && Date.now() < deadline) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  final = true;
  report();
  for (const client of clients) client.socket.disconnect();
  // Polling clients say goodbye in a request of their own.
  setTimeout(() => process.exit(0), GOODBYE_MS);
}

process.once("SIGTERM", finish);
process.once("SIGINT", finish);
setInterval(report, REPORT_MS);
for (let number = 0; number < options.clients; number += 1) {
  setTimeout(() => {
    if (final) return;
    const client = new StreamingClient(number);
    clients.push(client);
    client.start();
  }, (number * RAMP_MS) / options.clients);
}
