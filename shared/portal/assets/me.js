// The page "My photo".

import { ask, byId, countDown, Failure, failureNotice, isCounting, isUnsure, isOff, say, show, t, turn, when } from "./common.js";
import { outcomeNotice, showPair } from "./photos.js";

const button = byId("update");
const result = byId("result");
const work = byId("work");
const label = button.textContent;
let working = false;

async function load() {
  byId("pair").setAttribute("aria-busy", "true");
  try {
    const view = await ask("me");
    showPair(view, "me");
    const { record } = view;
    const seen = [record?.checked_at, record?.verified_at].filter(Boolean).sort().at(-1);
    byId("checked").textContent = seen ? t("me.checked", { when: when(seen) }) : t("me.never");
    const link = byId("profile");
    if (view.profileUrl?.startsWith("https://")) {
      link.href = view.profileUrl;
      link.hidden = false;
    }
    if (!working && !isCounting(button)) turn(button, true, label);
    return true;
  } catch (failure) {
    byId("pair").setAttribute("aria-busy", "false");
    const state = byId("state");
    state.dataset.tone = "unknown";
    state.textContent = t("compare.unknown");
    if (result.childElementCount === 0) show(result, failureNotice(failure, reload));
    return false;
  }
}

async function reload() {
  result.replaceChildren();
  say(t("page.loading"));
  if (await load()) byId("main").focus();
}

async function update() {
  if (isOff(button)) return;
  working = true;
  turn(button, false, t("me.updating"));
  work.hidden = false;
  result.replaceChildren();
  say(t("me.updating"));
  try {
    const done = await ask("me/sync", {});
    finish();
    show(result, outcomeNotice(done), { focus: true });
    if (done.retryAfter) countDown(button, done.retryAfter);
    await load();
  } catch (failure) {
    finish();
    const waits = failure instanceof Failure && failure.seconds > 0;
    show(result, failureNotice(failure, isUnsure(failure) ? reload : undefined), { focus: true });
    if (waits) countDown(button, failure.seconds);
    if (["not-signed-in", "session-too-old"].includes(failure.kind)) turn(button, false);
  }
}

function finish() {
  working = false;
  work.hidden = true;
  turn(button, true, label);
}

button.addEventListener("click", update);
await load();
