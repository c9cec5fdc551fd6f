// Stock socket.io-client clients. Usage: node clients.mjs '{"url", "clients", ...}'
//
// transports   list of lists, dealt out in turn; [] is the client's default
// mode         stream: chunks through mina-stream.js; stock: chunks by plain emit, event "plain";
//              closed: `event` (plain), the next one once the last was answered
//              idle: nothing is sent; busy: an event "work" is always being handled
// interval_ms  between two chunks of a client
//              move: chunks through mina-stream.js over a socket of MinaStream.connect
// namespace    of every client; default: /
// deaf         a second namespace that nobody answers a hand-off in
// acknowledge  false: nobody acknowledges a hand-off
// handoff_wait_ms  how long mina-stream.js lets its chunks hold up a hand-off; default: its own
// msgpack      true: packets are coded with socket.io-msgpack-parser
// plain_ms     move: each page emits a numbered "plain" so often as well, without an acknowledgement
// ack_timeout_ms   until mina-stream.js sends a chunk again; default: its own
// One JSON line on stdout every 100 ms; a line on stdin stops the chunks, waits for the last
// acknowledgements and reports with "final": true.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const require = createRequire(join(root, "package.json"));
const { io } = require("socket.io-client");

const options = {
  clients: 1, transports: [["websocket"]], mode: "idle", interval_ms: 100, acknowledge: true,
  ramp_ms: 500, last_acks_ms: 15000, ...JSON.parse(process.argv[2]),
};
const parser = options.msgpack ? { parser: require("socket.io-msgpack-parser") } : {};
const MinaStream = load(join(root, "mina_ops/app/clients/mina-stream.js"));
const clients = [];
const reasons = {};
const reconnectedAt = [];
const downtimes = [];
const shouts = [];
let errors = 0;
let handoffs = 0;
let notices = 0;
let stopped = false;

function load(script) {
  if (options.handoff_wait_ms === undefined) return require(script);
  const [wait, mine] = [/HANDOFF_WAIT_MS = \d+;/, `HANDOFF_WAIT_MS = ${options.handoff_wait_ms};`];
  const shipped = readFileSync(script, "utf8");
  if (!wait.test(shipped)) throw new Error("mina-stream.js has another name for its wait");
  const module = { exports: {} };
  new Function("module", shipped.replace(wait, mine))(module);
  return module.exports;
}

function count(object, key) { object[key] = (object[key] ?? 0) + 1; }

function start(number) {
  const transports = options.transports[number % options.transports.length];
  const more = transports.length ? { transports } : {};
  const settings = { forceNew: true, ...parser, ...more };
  const url = options.url + (options.namespace ?? "");
  const socket = options.mode === "move" ? MinaStream.connect(io, url, settings) : io(url, settings);
  const client = {
    socket, steps: {}, made: {}, connects: 0, moved: 0, sent: 0, acknowledged: 0, gap: 0, usual: 0, stream: `s${process.pid}-${number}`,
  };
  if (options.deaf) socket.io.socket("/deaf").connect();
  if (options.mode === "stream" || options.mode === "move") {
    client.sender = new MinaStream(socket, {
      event: "chunk", stream: client.stream, ackTimeout: options.ack_timeout_ms,
    });
    noteSteps(client);
  }
  socket.on("connect", (how) => {
    client.connects += 1;
    // What comes later has nothing to do with the hand-over.
    if (client.handedOff) client.overAt = performance.now() + 2000;
    if (how && how.moved) { client.moved += 1; client.steps.connected = Date.now(); }
    else if (client.connects > 1) {
      reconnectedAt.push(Date.now());
      downtimes.push(Date.now() - client.lostAt);
    }
  });
  socket.on("session:handoff", () => { client.handedOff = true; client.steps.asked ??= Date.now(); });
  socket.on("disconnect", () => { client.handedOff = true; });
  socket.on("disconnect", (reason) => { count(reasons, reason); client.lostAt = Date.now(); });
  socket.on("connect_error", () => { errors += 1; });
  socket.on("server:draining", () => { notices += 1; });
  socket.on("shouted", (text) => shouts.push(text));
  if (options.acknowledge && options.mode === "idle") {
    socket.on("session:handoff", (_message, acknowledge) => { handoffs += 1; acknowledge?.(); });
  } else {
    socket.on("session:handoff", () => { handoffs += 1; });
  }
  if (options.mode === "closed") {
    socket.once("connect", () => send(client));
  } else if (options.mode !== "idle") {
    client.timer = setInterval(() => send(client), options.interval_ms);
  }
  if (options.plain_ms) {
    client.plains = 0;
    client.plainTimer = setInterval(() => {
      client.plains += 1;
      socket.emit("plain", { stream: `${client.stream}-plain`, seq: client.plains });
    }, options.plain_ms);
  }
  if (options.shout) socket.once("connect", () => setTimeout(() => socket.emit("shout", options.shout), 1000));
  clients.push(client);
}

function send(client) {
  if (client.sender) {
    client.sent += 1;
    if (client.steps.asked && !client.steps.answered) client.made[client.sent] = Date.now();
    client.sender.send({}).then((ack) => {
      answered(client, ack && ack.environment);
    });
  } else if (options.mode === "busy") {
    client.sent += 1;
    client.socket.volatile.emit("work", 0.15);
  } else if (client.socket.connected) {
    // As most pages do: what is emitted counts as sent.
    client.sent += 1;
    client.socket.emit(options.event ?? "plain", { stream: client.stream, seq: client.sent }, () => {
      answered(client, true);
      if (options.mode === "closed" && !stopped) send(client);
    });
  }
}

/** Note when the first chunk after a move was made, sent and answered, and how often refused. */
function noteSteps(client) {
  const { sender, steps } = client;
  const done = sender._done.bind(sender);
  sender._done = (chunk, ack, run) => {
    if (steps.connected && !steps.answered) {
      if (ack && ack.code) steps.refused = (steps.refused ?? 0) + 1;
      else if (chunk.sentAt >= steps.connected) {
        const made = client.made[chunk.message.seq] ?? chunk.sentAt;
        Object.assign(steps, { made, sent: chunk.sentAt, answered: Date.now() });
      }
    }
    done(chunk, ack, run);
  };
}

// How late this process comes to what is due, at times (ms since the epoch): its own share of a gap.
const late = [];
let dueAt = Date.now() + 10;
setInterval(() => {
  const by = Date.now() - dueAt;
  if (by > 5) late.push([dueAt, by]);
  dueAt = Date.now() + 10;
}, 10);

function longestGap(client, gap, at) {
  Object.assign(client.steps, { gap, until: at, since: at - gap });
}

function answered(client, counts) {
  if (counts) client.acknowledged += 1;
  const now = performance.now();
  if (client.answeredAt) {
    const which = client.handedOff ? "gap" : "usual";
    if (!(now > client.overAt)) {
      const gap = now - client.answeredAt;
      if (which === "gap" && gap > client.gap) longestGap(client, gap, Date.now());
      client[which] = Math.max(client[which], gap);
    }
  }
  client.answeredAt = now;
}

function report(final) {
  const colours = {};
  const connected = clients.filter((client) => client.socket.connected);
  for (const client of connected) count(colours, client.socket.io.engine.id.split(".")[0]);
  const sum = (key) => clients.reduce((total, client) => total + client[key], 0);
  const result = {
    clients: clients.length, connected: connected.length, colours, reasons, errors, handoffs, notices,
    reconnects: reconnectedAt.length, sent: sum("sent"), acknowledged: sum("acknowledged"), moved: sum("moved"), shouts, final,
  };
  if (final) {
    Object.assign(result, { reconnected_at: reconnectedAt, downtimes_ms: downtimes });
    // The longest time between two answers: over the hand-over, and before it.
    result.gaps_ms = clients.map((client) => client.gap);
    result.usual_gaps_ms = clients.map((client) => client.usual);
    Object.assign(result, { steps: clients.map((client) => client.steps), late });
    result.streams = Object.fromEntries(clients.map((client) => [client.stream, client.sent]));
    result.plain_streams = Object.fromEntries(clients.map((one) => [`${one.stream}-plain`, one.plains]));
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function stop() {
  if (stopped) return;
  stopped = true;
  clients.forEach((client) => { clearInterval(client.timer); clearInterval(client.plainTimer); });
  // For as long as answers come: a full server is slow, and loses nothing.
  const answers = () => clients.reduce((total, client) => total + client.acknowledged, 0);
  const waiting = () => clients.some((client) => client.acknowledged < client.sent);
  let [last, over] = [answers(), Date.now() + options.last_acks_ms];
  while (clients[0]?.sender && waiting() && Date.now() < over) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (answers() > last) [last, over] = [answers(), Date.now() + options.last_acks_ms];
  }
  report(true);
  clients.forEach((client) => client.socket.close());
  setTimeout(() => process.exit(0), 300);
}

for (let number = 0; number < options.clients; number += 1) {
  setTimeout(start, (options.ramp_ms * number) / options.clients, number);
}
const timer = setInterval(() => (stopped ? clearInterval(timer) : report(false)), options.report_ms ?? 100);
createInterface({ input: process.stdin }).on("line", stop).on("close", () => process.exit(0));
