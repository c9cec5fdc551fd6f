// Who is looking: the host's admin is known already; else a token becomes a short session.
import { send } from "./ask.js";
import { make, say, show } from "./dom.js";

/** The form for a token; `entered()` is called when there is a session. */
export function loginView(root, entered) {
  const token = make("input", { id: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const trouble = make("p", { class: "trouble", role: "alert" });
  const form = make("form", { class: "login", onsubmit: enter },
    make("h2", {}, "Who are you?"),
    make("p", {}, "Log in to the app as an admin, then reload this page. Or give a token; this browser keeps it no longer than it takes to send it."),
    make("label", { for: "token" }, "token", token), trouble,
    make("p", { class: "acts" }, make("button", { type: "submit", class: "act strong" }, "look")),
    make("p", { class: "small" }, "No token? ", make("code", {}, "mina-ops token new NAME"), " makes one."));
  root.append(form);

  async function enter(event) {
    event.preventDefault();
    say(trouble, "");
    try {
      await send({ token: token.value.trim() }, "session");
      token.value = "";
      entered();
    } catch (error) {
      say(trouble, error.message);
    }
  }

  /** Ask the app whether the browser's own login will do; if not, show the form. */
  return async function locked() {
    try {
      await send({}, "session");
      entered();
    } catch {
      show(root, true);
      token.focus();
    }
  };
}

/** End the session and start over. */
export async function leave() {
  await fetch("session", { method: "DELETE" }).catch(() => undefined);
  location.reload();
}
