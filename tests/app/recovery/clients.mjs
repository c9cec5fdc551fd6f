// Stock socket.io-client clients with default options that keep every numbered event.
// Usage: node clients.mjs '{"url", "clients", "transports", "move"}'; a line on stdin asks for a report.

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
  const client = { socket, numbers: [], ticks: [], ticked: null, extra: 0, recovered: [], ids: [], reasons: [], who: null };
  clients.push(client);
  socket.on("connect", (how) => {
    client.recovered.push(how ? how.recovered : socket.recovered);
    client.ids.push(socket.id);
    if (client.ids.length === 1) {
      socket.emit("join", "room", `client ${number}`, () => { client.joined = true; });
      if (options.tick) socket.emit("tick for", options.tick, () => {});
    }
  });
  socket.on("number", (data) => client.numbers.push(typeof data === "number" ? data : data.n));
  socket.on("disconnect", (reason, details) => {
    client.reasons.push(`${reason} ${details?.message ?? ""} ${details?.description ?? ""}`);
  });
  socket.on("tick", (n) => client.ticks.push(n));
  socket.on("ticked", (n) => { client.ticked = n; });
}

function report() {
  const result = clients.map(({ socket, ...rest }) => ({
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
    if (what === "others") clients[0].socket.emit("others", rest[0]);
  })
  .on("close", () => process.exit(0));
