// The last nightly run and the checks.

import { ask, byId, duration, el, failureNotice, has, number, show, t, when } from "./common.js";

const SHOWN = ["updated", "repaired", "unchanged", "no_photo", "removed", "removal_pending", "no_profile", "invalid_photo", "deferred", "failed"];

/** Load and show run and checks; `choose` is called with a user of the problem list. */
export async function showNight(choose) {
  const card = byId("night");
  card.setAttribute("aria-busy", "true");
  try {
    const overview = await ask("run");
    byId("run").replaceChildren(...run(overview, choose));
    byId("checks").replaceChildren(...[...overview.checks].sort((one, other) => one.ok - other.ok).map(check));
  } catch (failure) {
    show(byId("run"), failureNotice(failure, () => showNight(choose)));
    byId("checks").replaceChildren(el("li", { class: "meta", text: t("checks.unknown") }));
  } finally {
    card.setAttribute("aria-busy", "false");
  }
}

function run({ run: last, lines, more_lines: more, next_firing: next }, choose) {
  const planned = next ? el("p", { class: "meta", text: t("run.next", { when: when(next) }) }) : null;
  if (!last) return [el("p", { class: "meta", text: t("run.none") }), planned].filter(Boolean);
  const counts = SHOWN.map((name) => [name, last.counts[name] ?? 0]).filter(([, count]) => count > 0);
  const end = last.ended ?? last.updated ?? last.started;
  const seconds = (new Date(end) - new Date(last.started)) / 1000;
  const held = last.removals?.heldBack ?? 0;
  const figures = [
    ["run.users", number(last.inScope)],
    ["run.duration", duration(Math.max(0, seconds))],
    ["run.requests", number(Object.values(last.requests ?? {}).reduce((sum, count) => sum + count, 0))],
    ["run.throttled", number(last.throttled ?? 0)],
  ];
  const stopped = last.status === "stopped";
  const parts = [
    el("p", { class: "meta" }, el("span", { class: `tag ${stopped ? "alarm" : last.status === "completed" ? "ok" : ""}`, text: t(`run.${last.status}`) }),
      ` ${t("run.started", { when: when(last.started) })}${last.mode === "dry-run" ? ` · ${t("run.dry")}` : ""}`),
    planned,
    last.reason ? el("p", { class: "technical meta", lang: "en", text: last.reason }) : null,
    el("dl", { class: "figures" }, ...figures.map(([key, value]) => el("div", {}, el("dt", { text: t(key) }), el("dd", { text: value })))),
  ];
  if (counts.length) {
    const bar = el("div", { class: "outcomes", "aria-hidden": "true" });
    for (const [name, count] of counts) {
      const segment = el("i", { class: `o-${name}` });
      segment.style.flexGrow = count;
      bar.append(segment);
    }
    parts.push(bar, el("ul", { class: "legend", "aria-label": t("run.outcomes") },
      ...counts.map(([name, count]) => el("li", {}, el("i", { class: `o-${name}`, "aria-hidden": "true" }), `${t(`outcome.${name}.name`)} ${number(count)}`))));
  }
  if (held) {
    parts.push(el("div", { class: "notice warn" }, el("strong", { text: t("run.held", { count: number(held) }) }),
      el("p", { text: t("run.held.next", { limit: last.removals.limit ?? "–" }) }),
      last.removals.note ? el("p", { class: "technical", lang: "en", text: last.removals.note }) : null));
  }
  parts.push(el("h3", { text: t("problems.title") }));
  if (lines.length) {
    parts.push(el("ul", { class: "problems" }, ...lines.map((line) => problem(line, choose))));
    if (more) parts.push(el("p", { class: "meta", text: t("problems.more", { count: number(lines.length) }) }));
  } else {
    parts.push(el("p", { class: "meta", text: t("problems.none") }));
  }
  return parts.filter(Boolean);
}

function problem(line, choose) {
  return el("li", {},
    el("button", { type: "button", text: line.userPrincipalName, onclick: () => choose({ id: line.id, name: "", userPrincipalName: line.userPrincipalName, mail: "" }) }),
    " ", el("span", { class: "tag", text: has(`outcome.${line.outcome}.name`) ? t(`outcome.${line.outcome}.name`) : line.outcome }),
    line.detail ? el("p", { class: "technical", lang: "en", text: line.detail }) : null);
}

function check({ name, ok, detail, remedy }) {
  return el("li", {},
    el("div", { class: "head" }, el("strong", { lang: "en", text: name }), el("span", { class: `tag ${ok ? "ok" : "alarm"}`, text: t(ok ? "checks.ok" : "checks.bad") })),
    el("p", { class: "technical", lang: "en", text: detail }),
    remedy ? el("p", {}, el("strong", { text: `${t("checks.remedy")} ` }), el("span", { lang: "en", text: remedy })) : null);
}
