// The one question before an act: what will happen, in numbers; Enter does it, Escape does not.
import { make, say, show } from "./dom.js";

/**
 * @param dialog the page's dialog
 * @param afterwards called when an act was done
 * @returns a function that asks: ask({ title, why, effect, label, danger, number, text, order })
 */
export function asker(dialog, afterwards) {
  const title = make("h2", { id: "ask-title" });
  const effect = make("ul", { class: "effect" });
  const field = make("input", { id: "ask-field", autocomplete: "off" });
  const fieldName = make("span");
  const label = make("label", { for: "ask-field" }, fieldName, field);
  const trouble = make("p", { class: "trouble", role: "alert" });
  const yes = make("button", { type: "submit", class: "act strong" });
  const no = make("button", { type: "button", class: "act", onclick: () => dialog.close() }, "leave it");
  const form = make("form", { method: "dialog", onsubmit: act }, title, effect, label, trouble,
    make("p", { class: "acts" }, yes, no));
  dialog.append(form);
  let asked = null;

  async function act(event) {
    event.preventDefault();
    if (asked === null || yes.disabled) return;
    yes.disabled = true;
    say(trouble, "");
    say(yes, "at work…");
    try {
      await send({ ...asked.order, ...given() });
      dialog.close();
      afterwards();
    } catch (error) {
      say(trouble, error.message);
      say(yes, asked.label);
    } finally {
      yes.disabled = false;
    }
  }

  function given() {
    const wanted = asked.number ?? asked.text;
    if (!wanted) return {};
    return { [wanted.name]: asked.number ? Number(field.value) : field.value.trim() };
  }

  return (question) => {
    asked = question.why ? null : question;
    say(title, question.title);
    effect.replaceChildren(...(question.why ? [`Not now: ${question.why}.`] : question.effect).map((line) => make("li", {}, line)));
    const wanted = question.why ? null : (question.number ?? question.text ?? null);
    show(label, wanted !== null);
    setField(field, wanted, Boolean(question.number));
    say(fieldName, wanted?.text ?? "");
    say(trouble, "");
    say(yes, question.label);
    yes.classList.toggle("danger", Boolean(question.danger));
    show(yes, !question.why);
    say(no, question.why ? "close" : "leave it");
    dialog.showModal();
    (wanted ? field : question.why ? no : yes).focus();
  };
}

function setField(field, wanted, numeric) {
  field.type = numeric ? "number" : "text";
  field.required = wanted !== null;
  field.disabled = wanted === null;
  for (const [name, key] of [["min", "least"], ["max", "most"], ["step", "step"]]) {
    if (numeric) field.setAttribute(name, wanted[key]);
    else field.removeAttribute(name);
  }
  field.value = wanted?.value ?? "";
}

/** Order an act of the app; its own words where it refuses. */
export async function send(order, path = "act") {
  let answer;
  try {
    const headers = { "Content-Type": "application/json" };
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(order) });
  } catch {
    throw new Error("The app did not answer. It may have been done: look at the last changes.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `Refused: ${answer.status}`);
  return body;
}
