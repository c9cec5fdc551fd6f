// Streams numbered chunks of made-up audio over a socket that moves to the other colour first.
"use strict";

const CHUNK_INTERVAL_MS = 250;
const CHUNK_BYTES = 320;
const CELLS = 240;

const show = (id, text) => { document.getElementById(id).textContent = text; };
const socket = MinaStream.connect(io, "/live");
// A server refuses a polling request with more than 16 packets, and a chunk is two.
const stream = new MinaStream(socket, { event: "audio:chunk", window: 3, onChange: showCounts });
let connects = 0;
let sessionId;
let timer;
// Which colour acknowledged a chunk that no transcript has named yet.
const handled = new Map();
let transcribed = 0;

function showState(state, text) {
  const element = document.getElementById("state");
  element.dataset.state = state;
  element.textContent = text;
}

function showCounts() {
  show("sent", stream.sent);
  show("acknowledged", stream.acknowledged);
  show("waiting", stream.waiting);
  show("reconnected", Math.max(0, connects - 1));
}

function addCell(seq) {
  const cell = document.createElement("li");
  cell.title = `chunk ${seq}`;
  const cells = document.getElementById("chunks");
  cells.append(cell);
  if (cells.childElementCount > CELLS) cells.firstElementChild.remove();
  return cell;
}

async function sendChunk() {
  const cell = addCell(stream.sent + 1);
  const startedAt = performance.now();
  try {
    const chunk = { data: new Uint8Array(CHUNK_BYTES), session_id: sessionId };
    const ack = await stream.send(chunk);
    cell.dataset.colour = ack.environment;
    handled.set(ack.seq, ack.environment);
    show("latency", Math.round(performance.now() - startedAt));
  } catch {
    cell.dataset.colour = "lost";
  }
}

async function start() {
  const body = JSON.stringify({ title: "Live session" });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/api/sessions", { method: "POST", headers, body });
  sessionId = (await answer.json()).session_id;
  timer = setInterval(sendChunk, CHUNK_INTERVAL_MS);
  show("toggle", "Stop streaming");
}

function stop() {
  clearInterval(timer);
  timer = undefined;
  show("toggle", "Start streaming");
}

document.getElementById("toggle").addEventListener("click", () => (timer ? stop() : start()));

socket.on("connect", () => {
  connects += 1;
  document.getElementById("toggle").disabled = false;
  const [tag, untagged] = socket.io.engine.id.split("~");
  showState("on", untagged ? `connected to ${tag}` : "connected");
  show("live-on", untagged ? `, live on ${tag.split(".")[0]}` : "");
  const showTransport = () => show("transport", socket.io.engine.transport.name);
  showTransport();
  socket.io.engine.on("upgrade", showTransport);
  showCounts();
});
socket.on("disconnect", () => {
  showState("off", "reconnecting…");
  show("live-on", ", live on none");
});
socket.on("connect_error", (error) => showState("off", error.message));
socket.on("server:draining", () => showState("moving", "server is draining"));
socket.on("transcript", ({ first_seq: first, last_seq: last, environment }) => {
  // Only a colour that was killed keeps its last segment to itself.
  if (first > transcribed + 1) addLine(transcribed + 1, first - 1, handled.get(first - 1), "not transcribed by");
  addLine(first, last, environment, "transcribed by");
  for (const seq of handled.keys()) if (seq <= last) handled.delete(seq);
  transcribed = Math.max(transcribed, last);
});

function addLine(first, last, colour, how) {
  const line = document.createElement("li");
  line.dataset.colour = colour ?? "";
  line.textContent = `chunks ${first} to ${last}, ${how} ${colour ?? "the colour before"}`;
  document.getElementById("transcript").prepend(line);
}
