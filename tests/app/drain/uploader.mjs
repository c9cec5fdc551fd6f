// One socket.io-client that sends what it is told to. Usage: node uploader.mjs '{"url", ...}'
//
// transport   websocket or polling
// mode        stock: events "plain" by stock emit; stream: "chunk" through mina-stream.js over a
//             stock socket; move: the same over a socket of MinaStream.connect
// A line on stdin is a number of bytes: one event with such an attachment is sent. One JSON line on
// stdout every 50 ms: {"colour", "connects", "handoffs", "sent", "acknowledged", "stream"}.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../package.json", import.meta.url));
const { io } = require("socket.io-client");
const MinaStream = require("./mina_ops/app/clients/mina-stream.js");
const { url, transport, mode } = JSON.parse(process.argv[2]);

const settings = { transports: [transport] };
const socket = mode === "move" ? MinaStream.connect(io, url, settings) : io(url, settings);
const state = { connects: 0, handoffs: 0, sent: 0, acknowledged: 0, stream: `u${process.pid}` };
const stream = mode === "stock" ? null : new MinaStream(socket, { event: "chunk", stream: state.stream });
socket.on("connect", () => { state.connects += 1; });
socket.on("session:handoff", () => { state.handoffs += 1; });

function send(size) {
  const seq = (state.sent += 1);
  const data = createHash("shake256", { outputLength: size }).update(String(seq)).digest();
  const payload = { size, data };
  const answered = () => { state.acknowledged += 1; };
  if (stream) stream.send(payload).then(answered);
  else socket.emit("plain", { ...payload, stream: state.stream, seq }, answered);
}

setInterval(() => {
  const colour = socket.connected ? socket.io.engine.id.split(".")[0] : null;
  process.stdout.write(`${JSON.stringify({ ...state, colour })}\n`);
}, 50);
createInterface({ input: process.stdin })
  .on("line", (line) => send(Number(line)))
  .on("close", () => process.exit(0));
