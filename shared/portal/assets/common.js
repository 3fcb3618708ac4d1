// What both pages share: texts, dates, requests and their failures.

const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang;
const READ_SECONDS = 30;
const WRITE_SECONDS = 75; // the service answers within 60
const BUSY_SECONDS = 30; // when nobody says how long to wait

/** The text of a key, with its {placeholders} replaced. */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export const has = (key) => key in texts;

const dateTime = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const dateOnly = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" });
const numbers = new Intl.NumberFormat(language);

export const number = (value) => numbers.format(value);

/** A moment or a date of the service in the reader's own form; "" for none. */
export function when(text) {
  const moment = new Date(text ?? "");
  if (Number.isNaN(moment.getTime())) return "";
  return (/^\d{4}-\d\d-\d\d$/.test(text) ? dateOnly : dateTime).format(moment);
}

/** How long something took. */
export function duration(seconds) {
  const unit = seconds < 120 ? ["second", seconds] : ["minute", seconds / 60];
  return new Intl.NumberFormat(language, { style: "unit", unit: unit[0], unitDisplay: "short", maximumFractionDigits: unit[0] === "second" ? 1 : 0 }).format(unit[1]);
}

/** An element with properties and children. Text is only ever set as text. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Say something to people who listen instead of look. */
export function say(text) {
  const region = byId("say");
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}

/** Why a request did not give what was asked for. */
export class Failure extends Error {
  constructor(kind, { status = 0, detail = "", seconds = 0, requestId = "" } = {}) {
    super(kind);
    Object.assign(this, { kind, status, detail, seconds, requestId });
  }
}

/** Whether an update may have been carried out, although nobody has said so. */
export const isUnsure = ({ kind }) => kind === "lost" || kind === "already-requested";

/** Ask the service.
 * Browsers repeat a POST whose connection breaks, so each one carries an ID by which the service
 * refuses the repetition. */
export async function ask(path, body = undefined) {
  const write = body !== undefined;
  const options = {
    method: write ? "POST" : "GET",
    headers: { "X-Requested-With": "portal", Accept: "application/json" },
    credentials: "same-origin",
    cache: "no-store",
    redirect: "manual",
    signal: AbortSignal.timeout((write ? WRITE_SECONDS : READ_SECONDS) * 1000),
  };
  if (write) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify({ requestId: crypto.randomUUID(), ...body });
  }
  let answer;
  try {
    answer = await fetch(`/api/portal/api/${path}`, options);
  } catch (error) {
    if (write) throw new Failure("lost");
    throw new Failure(error.name === "TimeoutError" ? "timeout" : "network");
  }
  if (answer.type === "opaqueredirect") throw new Failure("not-signed-in", { status: 401 });
  const kind = answer.headers.get("Content-Type") ?? "";
  let document = null;
  if (/^application\/(problem\+)?json/.test(kind)) {
    try {
      document = await answer.json();
    } catch {
      throw new Failure(write ? "lost" : "network", { status: answer.status });
    }
  }
  if (answer.ok && document) return document;
  throw read(answer, document, write);
}

function read(answer, document, write) {
  const { status } = answer;
  const asked = Number(answer.headers.get("Retry-After"));
  const seconds = Number.isFinite(asked) && asked > 0 ? Math.min(asked, 3600) : 0;
  const ours = /^urn:photo-sync:problem:([\w-]+)$/.exec(document?.type ?? "");
  if (ours) {
    return new Failure(ours[1], { status, seconds, detail: document.detail ?? "", requestId: document.requestId ?? "" });
  }
  // From here on it is not the portal that answers, but the host or something in front of it.
  if (status === 401) return new Failure("not-signed-in", { status });
  if (status === 429) return new Failure("too-many-requests", { status, seconds: seconds || BUSY_SECONDS });
  if (status === 431) return new Failure("headers-too-large", { status });
  if (write && (status >= 500 || answer.ok)) return new Failure("lost", { status });
  return new Failure("unexpected", { status, seconds });
}

/** The address that signs in and comes back here. */
const signIn = () => `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(location.pathname + location.search)}`;

/** A notice about a failure, with what can be done about it. */
export function failureNotice(failure, again) {
  if (!(failure instanceof Failure)) throw failure;
  const { kind, status, detail, seconds, requestId } = failure;
  const known = has(`error.${kind}`) ? kind : "unexpected";
  const values = { status: String(status || "–"), seconds: number(Math.ceil(seconds)) };
  const text = el("strong", { text: t(`error.${known}`, values) });
  const next = has(`error.${known}.next`) ? el("p", { text: t(`error.${known}.next`, values) }) : null;
  const actions = el("div", { class: "actions" });
  if (["not-signed-in", "session-too-old", "sign-in-not-understood"].includes(kind)) {
    actions.append(el("a", { class: "button primary", href: signIn(), text: t("error.sign-in") }));
  } else if (again) {
    const button = el("button", { type: "button", text: t(isUnsure(failure) ? "error.look" : "error.again") });
    button.addEventListener("click", () => { if (!isOff(button)) again(); });
    actions.append(button);
    if (seconds) countDown(button, seconds);
  }
  const technical = [detail, requestId].filter(Boolean).join(" · ");
  return el("div", { class: `notice ${isUnsure(failure) || seconds ? "warn" : "bad"}`, tabindex: "-1" },
    text, next,
    technical && isTechnical() ? el("p", { class: "technical", lang: "en", text: technical }) : null,
    actions.childElementCount ? actions : null);
}

const isTechnical = () => Boolean(byId("find"));

/** Put a notice into a box; an alert for what happened by itself, focus for what was asked for. */
export function show(box, notice, { focus = false } = {}) {
  box.replaceChildren(notice);
  if (focus) notice.focus();
  else notice.setAttribute("role", "alert");
}

export const isOff = (button) => button.getAttribute("aria-disabled") === "true";

/** Buttons stay focusable while they cannot be used. */
export function turn(button, on, label = undefined) {
  button.setAttribute("aria-disabled", String(!on));
  if (label !== undefined) button.textContent = label;
}

/** Keep a button from being used for some seconds, and show them pass. */
export function countDown(button, seconds) {
  const label = button.dataset.label ?? (button.dataset.label = button.textContent);
  const end = performance.now() + seconds * 1000;
  clearInterval(Number(button.dataset.timer));
  const tick = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left > 0) {
      turn(button, false, t("wait.seconds", { seconds: number(left) }));
      return;
    }
    clearInterval(Number(button.dataset.timer));
    delete button.dataset.timer;
    turn(button, true, label);
    if (button.isConnected) say(t("wait.over"));
  };
  tick();
  button.dataset.timer = String(setInterval(tick, 250));
}

export const isCounting = (button) => "timer" in button.dataset;
