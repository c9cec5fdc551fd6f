// Logging in and out, on every page.
"use strict";

document.getElementById("login")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new URLSearchParams(new FormData(event.target));
  const answer = await fetch("/api/auth/login", { method: "POST", body: form });
  if (answer.ok) window.location.assign("/live");
  else document.getElementById("login-error").hidden = false;
});

document.getElementById("logout")?.addEventListener("click", async () => {
  await fetch("/api/auth/logout", { method: "POST" });
  window.location.assign("/live");
});
