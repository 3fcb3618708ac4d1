// The page of the help desk.

import { ask, byId, countDown, el, Failure, failureNotice, has, isOff, isUnsure, number, say, show, t, turn, when } from "./common.js";
import { showNight } from "./night.js";
import { outcomeNotice, showPair } from "./photos.js";
import { searchField } from "./search.js";

const card = byId("person");
const result = byId("result");
const buttons = { sync: byId("sync"), dry: byId("dry"), force: byId("force"), yes: byId("force-yes") };
const labels = new Map(Object.values(buttons).map((button) => [button, button.textContent]));
let chosen = null;

async function choose(user) {
  chosen = user;
  result.replaceChildren();
  openForce(false);
  restore();
  card.hidden = false;
  name(user);
  byId("pair").setAttribute("aria-busy", "true");
  for (const source of ["exchange", "sharepoint"]) {
    const frame = byId(source).querySelector(".frame");
    frame.className = "frame";
    frame.replaceChildren();
  }
  byId("state").dataset.tone = "wait";
  byId("state").textContent = t("compare.loading");
  byId("record").replaceChildren();
  byId("history").replaceChildren();
  byId("person-name").focus();
  await load(user);
}

function name(user) {
  byId("person-name").textContent = user.name || user.userPrincipalName;
  byId("person-upn").textContent = [user.name ? user.userPrincipalName : "", user.mail].filter(Boolean).join(" · ");
}

async function load(user) {
  try {
    const view = await ask(`users/${user.id}`);
    if (chosen?.id !== user.id) return;
    name(view.user);
    showPair(view, `users/${user.id}`, view.user.name || view.user.userPrincipalName);
    byId("record").replaceChildren(...facts(view.record));
    const events = view.history === null ? [el("li", { text: t("history.unknown") })] : view.history.map(event);
    byId("history").replaceChildren(...(events.length ? events : [el("li", { class: "meta", text: t("history.none") })]));
  } catch (failure) {
    if (chosen?.id !== user.id) return;
    byId("pair").setAttribute("aria-busy", "false");
    byId("state").dataset.tone = "unknown";
    byId("state").textContent = t("compare.unknown");
    if (result.childElementCount === 0) show(result, failureNotice(failure, () => { result.replaceChildren(); load(user); }));
  }
}

function facts(record) {
  if (!record) return [el("dt", { text: t("record.outcome") }), el("dd", { text: t("record.none") })];
  const rows = [
    ["record.outcome", t(`outcome.${record.outcome}.name`)],
    ["record.checked", when(record.checked_at)],
    ["record.verified", when(record.verified_at)],
    ["record.failures", record.failures ? number(record.failures) : ""],
    ["record.retry", when(record.retry_on)],
    ["record.missing", record.missing_runs ? number(record.missing_runs) : ""],
    ["record.detail", record.detail],
  ];
  return rows.filter(([, value]) => value).flatMap(([key, value]) =>
    [el("dt", { text: t(key) }), el("dd", { text: value, lang: key === "record.detail" ? "en" : null })]);
}

function event({ at, activity, outcome, detail, by }) {
  const what = has(`activity.${activity}`) ? t(`activity.${activity}`) : activity;
  return el("li", {},
    el("time", { datetime: at, text: when(at) }),
    el("span", { text: `${t(`by.${by}`)}: ${what} ` }),
    outcome ? el("span", { class: "tag", text: has(`outcome.${outcome}.name`) ? t(`outcome.${outcome}.name`) : outcome }) : null,
    detail ? el("p", { class: "technical", lang: "en", text: detail }) : null);
}

async function act(button, body) {
  if (!chosen || isOff(button)) return;
  const user = chosen;
  for (const other of Object.values(buttons)) turn(other, false);
  turn(button, false, t("me.updating"));
  byId("work").hidden = false;
  result.replaceChildren();
  say(t("me.updating"));
  let seconds = 0;
  try {
    const done = await ask(`users/${user.id}/sync`, body);
    if (chosen?.id !== user.id) return;
    openForce(false);
    show(result, outcomeNotice(done), { focus: true });
    seconds = done.retryAfter ?? 0;
    await load(user);
  } catch (failure) {
    if (chosen?.id !== user.id) return;
    const look = isUnsure(failure) ? () => { result.replaceChildren(); load(user); } : undefined;
    show(result, failureNotice(failure, look), { focus: true });
    seconds = failure instanceof Failure ? failure.seconds : 0;
  } finally {
    if (chosen?.id === user.id) {
      restore();
      if (seconds) for (const each of [buttons.sync, buttons.dry, buttons.yes]) countDown(each, seconds);
    }
  }
}

function restore() {
  byId("work").hidden = true;
  for (const [button, text] of labels) {
    clearInterval(Number(button.dataset.timer));
    delete button.dataset.timer;
    turn(button, true, text);
  }
}

function openForce(on) {
  byId("force-box").hidden = !on;
  buttons.force.setAttribute("aria-expanded", String(on));
}

buttons.sync.addEventListener("click", () => act(buttons.sync, {}));
buttons.dry.addEventListener("click", () => act(buttons.dry, { dryRun: true }));
buttons.force.addEventListener("click", () => {
  if (isOff(buttons.force)) return;
  const on = byId("force-box").hidden;
  openForce(on);
  if (on) buttons.yes.focus();
});
buttons.yes.addEventListener("click", () => act(buttons.yes, { force: true }));
byId("force-no").addEventListener("click", () => {
  openForce(false);
  buttons.force.focus();
});
byId("again").addEventListener("click", async () => {
  say(t("page.loading"));
  await showNight(choose);
  say(t("page.loaded"));
});

searchField(choose);
await showNight(choose);
