// Find a user: a text field with a list, as the ARIA Authoring Practices describe a combobox.

import { ask, byId, el, failureNotice, number, say, show, t } from "./common.js";

const LEAST_LETTERS = 3;
const PAUSE_MILLISECONDS = 350;

/** Make the field search, and call `choose` with the user that was chosen. */
export function searchField(choose) {
  const field = byId("find");
  const list = byId("hits");
  const problem = byId("find-problem");
  let users = [];
  let current = -1;
  let timer = 0;
  let asked = 0;

  const open = (on) => {
    list.hidden = !on;
    field.setAttribute("aria-expanded", String(on));
    if (!on) mark(-1);
  };

  function mark(index) {
    current = index;
    [...list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === index)));
    const item = list.children[index];
    if (item) {
      field.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else {
      field.removeAttribute("aria-activedescendant");
    }
  }

  function take(index) {
    const user = users[index];
    if (!user) return;
    field.value = user.name || user.userPrincipalName;
    open(false);
    choose(user);
  }

  async function search() {
    const text = field.value.trim();
    const ticket = ++asked;
    problem.replaceChildren();
    if ((text.match(/[\p{L}\p{N}]/gu) ?? []).length < LEAST_LETTERS) {
      open(false);
      return;
    }
    try {
      const found = await ask(`users?query=${encodeURIComponent(text)}`);
      if (ticket !== asked) return;
      users = found.users;
      list.replaceChildren(...users.map((user, index) => el("li",
        { role: "option", id: `hit-${index}`, "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => take(index) },
        el("strong", { text: user.name || user.userPrincipalName }),
        el("span", { text: user.mail && user.mail !== user.userPrincipalName ? `${user.userPrincipalName} · ${user.mail}` : user.userPrincipalName }))));
      open(users.length > 0 && document.activeElement === field);
      const counted = t(found.more ? "search.more" : "search.count", { count: number(users.length) });
      byId("find-hint").textContent = users.length ? counted : t("search.none");
      say(byId("find-hint").textContent);
    } catch (failure) {
      if (ticket !== asked) return;
      open(false);
      show(problem, failureNotice(failure, search));
    }
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    asked++;
    timer = setTimeout(search, PAUSE_MILLISECONDS);
  });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && users.length) {
      event.preventDefault();
      if (list.hidden) open(true);
      mark(current < 0 && step < 0 ? users.length - 1 : (current + step + users.length) % users.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && current >= 0) take(current);
      else if (!list.hidden && users.length === 1) take(0);
      else {
        clearTimeout(timer);
        search();
      }
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      open(false);
    }
  });
  field.addEventListener("blur", () => open(false));
}
