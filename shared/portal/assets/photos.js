// The two photos side by side, and how a sync of them ended.

import { byId, el, t } from "./common.js";

const BAD = new Set(["failed"]);
const WARN = new Set(["deferred", "invalid_photo", "no_profile", "removal_pending"]);
const NOTHING = new Set(["no_photo"]);

/** Show both photos of a view.
 * @param path "me", or "users/<id>"
 * @param name of the user; "" for the reader
 */
export function showPair(view, path, name = "") {
  for (const source of ["exchange", "sharepoint"]) showSide(view[source], path, source, name);
  const [tone, text] = compared(view);
  const state = byId("state");
  state.dataset.tone = tone;
  state.textContent = text;
  byId("pair").setAttribute("aria-busy", "false");
}

function showSide(side, path, source, name) {
  const frame = byId(source).querySelector(".frame");
  if (side.state === "photo") {
    const address = `/api/portal/api/${path}/photo/${source}?v=${encodeURIComponent(side.version)}`;
    const image = el("img", { alt: t(name ? `alt.${source}.theirs` : `alt.${source}.mine`, { name }), width: side.width, height: side.height });
    image.addEventListener("error", () => empty(frame, "unknown", source));
    image.src = address;
    frame.className = "frame";
    frame.replaceChildren(image);
    return;
  }
  empty(frame, side.state, source);
}

function empty(frame, state, source) {
  frame.className = "frame empty";
  frame.replaceChildren(el("p", { text: t(`photo.${state}.${source}`) }));
}

/** Tone and words for what two photos are to each other. */
function compared({ exchange, sharepoint, comparison }) {
  const here = exchange.state === "photo";
  const there = sharepoint.state === "photo";
  if (here && there) return [comparison, t(`compare.${comparison}`)];
  if ([exchange.state, sharepoint.state].includes("unknown")) return ["unknown", t("compare.unknown")];
  if (exchange.state === "unusable") return ["different", t("compare.unusable")];
  if (here) return ["different", t(sharepoint.state === "no_profile" ? "compare.no_profile" : "compare.only_exchange")];
  if (there) return ["different", t("compare.only_sharepoint")];
  return ["none", t("compare.none")];
}

/** A notice that says how a sync ended and what comes next. */
export function outcomeNotice(done) {
  const { outcome } = done;
  const tone = BAD.has(outcome) ? "bad" : WARN.has(outcome) ? "warn" : NOTHING.has(outcome) ? "" : "good";
  const title = done.dryRun ? t("outcome.dry", { outcome: t(`outcome.${outcome}.name`) }) : t(`outcome.${outcome}`);
  const next = done.dryRun ? t("outcome.dry.next") : t(`outcome.${outcome}.next`);
  const technical = [done.detail, done.requestId].filter(Boolean).join(" · ");
  return el("div", { class: `notice ${done.dryRun ? "" : tone}`, tabindex: "-1" },
    el("strong", { text: title }),
    el("p", { text: next }),
    technical ? el("p", { class: "technical", lang: "en", text: technical }) : null);
}
