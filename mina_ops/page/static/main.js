// Puts the page together: one store, and a view for each part of the page.
import { asker } from "./ask.js";
import { changesView } from "./changes.js";
import { say, show } from "./dom.js";
import { figuresView } from "./figures.js";
import { flagsView } from "./flags.js";
import { leave, loginView } from "./login.js";
import { releaseView } from "./release.js";
import { splitView } from "./split.js";
import { Store } from "./store.js";
import { themeButton } from "./theme.js";
import { releaseLine, verdictView } from "./verdict.js";
import { who } from "./words.js";

const part = (id) => document.getElementById(id);
const locked = loginView(part("login"), () => {
  show(part("login"), false);
  store.ask();
});
const store = new Store({
  onLocked: () => {
    show(part("console"), false);
    locked();
  },
});
const ask = asker(part("ask"), () => store.ask());

store.follow(verdictView(part("verdict")));
store.follow(releaseLine(part("release-line")));
store.follow(splitView(part("split"), ask));
store.follow(figuresView(part("figures")));
store.follow(releaseView(part("release"), ask));
store.follow(flagsView(part("flags"), ask));
store.follow(changesView(part("changes")));
store.follow(({ data }) => {
  if (!data) return;
  show(part("console"), true);
  say(part("product"), data.product);
  say(part("viewer"), data.viewer.may_act ? who(data.viewer.name) : `${who(data.viewer.name)} · ${data.viewer.why_not}`);
  show(part("leave"), data.viewer.can_leave);
});
part("leave").addEventListener("click", leave);
themeButton(part("theme"));
store.ask();
