// A line to type in a shell, with a button that copies it.
import { make, say } from "./dom.js";

export function copyLine() {
  const text = make("span", { class: "small" });
  const code = make("code");
  const button = make("button", { type: "button", class: "quiet", onclick: copy }, "copy");
  const root = make("p", { class: "shell" }, text, code, button);

  async function copy() {
    try {
      await navigator.clipboard.writeText(code.textContent);
      say(button, "copied");
    } catch {
      // Without https there is no clipboard: mark the line, so that Ctrl-C takes it.
      getSelection().selectAllChildren(code);
      say(button, "press Ctrl-C");
    }
    setTimeout(() => say(button, "copy"), 2000);
  }

  function mend({ text: before, line }) {
    say(text, before);
    say(code, line);
    button.setAttribute("aria-label", `copy: ${line}`);
  }
  return { root, mend };
}
