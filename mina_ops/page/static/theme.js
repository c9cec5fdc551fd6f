// Light or dark: the system's, until somebody says otherwise.
import { say } from "./dom.js";

const KEY = "mina-console-theme";

export function themeButton(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => say(button, isDark() ? "light" : "dark");
  const chosen = recall();
  if (chosen) document.documentElement.dataset.theme = chosen;
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    keep(theme);
    label();
  });
  system.addEventListener("change", label);
  label();
}

// A browser may forbid storage; then the choice lasts as long as the page.
function recall() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    return;
  }
}
