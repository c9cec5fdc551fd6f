// Stock socket.io-client clients with default options that keep every numbered event.
// Usage: node clients.mjs '{"url", "clients", "transports", "move", "chunk_ms", "cut_at_hand_off"}'
// With chunk_ms each also streams a numbered chunk so often, and tells of the numbers that it hears
// only the last one, how many were missed, and how many came again or late.
// Commands come as JSON lines on stdin: ["who"], ["cut"], ["others", n], ["stop"] (no more chunks).

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../package.json", import.meta.url));
const { io } = require("socket.io-client");
const MinaStream = require("../../../mina_ops/app/clients/mina-stream.js".replace("../../../", "./"));
const options = { clients: 1, transports: [["websocket"]], move: false, ...JSON.parse(process.argv[2]) };

const clients = [];
for (let number = 0; number < options.clients; number += 1) {
  const transports = options.transports[number % options.transports.length];
  const settings = { forceNew: true, ...(transports.length ? { transports } : {}) };
  const socket = options.move ? MinaStream.connect(io, options.url, settings) : io(options.url, settings);
  const client = { socket, numbers: [], ticks: [], ticked: null, garbled: 0, recovered: [], ids: [], reasons: [], who: null };
  if (options.chunk_ms) {
    Object.assign(client, { last: 0, missed: 0, again: 0, sent: 0, acknowledged: 0 });
    client.stream = `c${process.pid}-${number}`;
    const stream = new MinaStream(socket, { event: "chunk", stream: client.stream });
    client.timer = setInterval(() => {
      client.sent += 1;
      stream.send({}).then(() => { client.acknowledged += 1; });
    }, options.chunk_ms);
  }
  clients.push(client);
  socket.on("connect", (how) => {
    client.recovered.push(how ? how.recovered : socket.recovered);
    client.ids.push(socket.id);
    if (client.ids.length === 1) {
      socket.emit("join", "room", `client ${number}`, () => { client.joined = true; });
      if (options.tick) socket.emit("tick for", options.tick, () => {});
    }
  });
  socket.on("number", (data) => {
    if (typeof data !== "number" && Buffer.from(data.b).toString("hex") !== "0001") client.garbled += 1;
    const number = typeof data === "number" ? data : data.n;
    if (!options.chunk_ms) client.numbers.push(number);
    else if (number <= client.last) client.again += 1;
    else {
      if (client.last) client.missed += number - client.last - 1;
      client.last = number;
    }
  });
  socket.on("disconnect", (reason, details) => {
    client.reasons.push(`${reason} ${details?.message ?? ""} ${details?.description ?? ""}`);
  });
  if (options.cut_at_hand_off) socket.on("session:handoff", () => {
    const engine = socket.io.engine;
    setTimeout(() => engine.close());
  });
  socket.on("tick", (n) => client.ticks.push(n));
  socket.on("ticked", (n) => { client.ticked = n; });
}

function report() {
  const result = clients.map(({ socket, timer, ...rest }) => ({
    ...rest, connected: socket.connected, engine: socket.connected ? socket.io.engine.id.split(".")[0] : null,
  }));
  process.stdout.write(`${JSON.stringify({ clients: result })}\n`);
}

setInterval(report, 100);
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [what, ...rest] = JSON.parse(line);
    if (what === "who") clients.forEach((one) => one.socket.emit("who", (answer) => { one.who = answer; }));
    if (what === "cut") clients.forEach((one) => one.socket.io.engine.close());
    if (what === "stop") clients.forEach((one) => clearInterval(one.timer));
    if (what === "others") clients[0].socket.emit("others", rest[0]);
  })
  .on("close", () => process.exit(0));
