// Two tabs of one visitor, as plain requests: what a page loads and asks for after it was opened.
// Reads one command a line (`open`, `visit`), answers each with one line of JSON.
// usage: node _tabs.mjs http://127.0.0.1:8000 pinned|plain
import { createInterface } from "node:readline";

const [, , site, kind] = process.argv;
const pinned = kind === "pinned";
const tabs = [];
let cookie = "";
const counts = { tabs: 0, assets: 0, assets_404: 0, api_calls: 0, api_across: 0, forms_across: 0, failed: 0 };

// A reload closes idle connections under the next request; a browser would ask again, too.
async function patiently(request, tries = 5) {
  try {
    return await request();
  } catch (error) {
    counts.failed += 1;
    if (tries === 1) throw error;
    await new Promise((done) => setTimeout(done, 50));
    return patiently(request, tries - 1);
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(cookie ? { Cookie: cookie } : {}) };
  const answer = await patiently(() => fetch(`${site}${path}`, { ...options, headers }));
  const [given] = answer.headers.getSetCookie();
  if (given) cookie = given.split(";")[0];
  if (answer.status >= 500) counts.failed += 1;
  return { status: answer.status, text: await answer.text() };
}

async function open() {
  const { text } = await ask("/");
  const release = /<meta name="mina-release" content="([^"]+)"/.exec(text)[1];
  tabs.push({ release, files: 0 });
  if (tabs.length > 2) tabs.shift();
  counts.tabs += 1;
}

async function visit(tab) {
  const file = `/static/chunk${(tab.files += 1)}-${tab.release}.js`;
  const headers = pinned ? { "X-Mina-Release": tab.release } : {};
  const lazy = await ask(file);
  counts.assets += 1;
  if (lazy.status === 404) counts.assets_404 += 1;
  for (let call = 0; call < 2; call += 1) {
    const { text } = await ask("/api/who", { headers });
    counts.api_calls += 1;
    if (text !== tab.release) counts.api_across += 1;
  }
  const query = pinned ? `?mina_release=${tab.release}` : "";
  const form = await ask(`/form${query}`, { method: "POST", body: new URLSearchParams({ of: tab.release }) });
  if (form.text !== "same") counts.forms_across += 1;
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "open") await open();
  else await Promise.all(tabs.map(visit));
  console.log(JSON.stringify(counts));
}
