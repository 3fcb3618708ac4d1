"""WCAG 2.2 AA on every state of the pages: axe-core, 320 pixels, zoom, motion, colors."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from shared.errors import Evidence, Throttled, Unavailable
from shared.portal.core import Photo, State
from tests.portal.browser.test_helpdesk import PATH, find
from tests.support.portal_browser import Visitor
from tests.support.portal_core import EMPLOYEE_ID
from tests.support.portal_site import Site
from tests.support.sampling import sample

type Visit = Callable[..., Visitor]
COLOR_RULES = ("color-contrast", "link-in-text-block")
"""The rules of axe-core that depend on colors; all others find the same in every scheme."""

EVIDENCE = Evidence("graph", "GET", "https://graph.example/users", 503)


def updated(visitor: Visitor, _: Site) -> None:
    visitor.page.click("#update[aria-disabled=false]")
    visitor.page.wait_for_selector("#result .notice")


def throttled(visitor: Visitor, _: Site) -> None:
    visitor.page.click("#update[aria-disabled=false]")
    visitor.page.wait_for_selector("#result .warn")


def failed(visitor: Visitor, site: Site) -> None:
    site.core.fails = Unavailable(EVIDENCE)
    updated(visitor, site)


def ended(visitor: Visitor, site: Site) -> None:
    site.sign_in.end_sessions()
    updated(visitor, site)


def without_photos(visitor: Visitor, site: Site) -> None:
    site.core.users[EMPLOYEE_ID].exchange = Photo(State.UNUSABLE)
    site.core.users[EMPLOYEE_ID].sharepoint = Photo(State.NO_PROFILE)
    visitor.page.reload()
    visitor.settled()


def working(visitor: Visitor, _: Site) -> None:
    visitor.page.evaluate("() => { window.fetch = () => new Promise(() => {}); }")
    visitor.page.click("#update")


def hits(visitor: Visitor, _: Site) -> None:
    find(visitor)
    visitor.page.keyboard.press("ArrowDown")


def person(visitor: Visitor, _: Site) -> None:
    visitor.page.click("#hits li")
    visitor.page.wait_for_selector("#record dd")


def force(visitor: Visitor, _: Site) -> None:
    visitor.page.click("#force")


def tried(visitor: Visitor, _: Site) -> None:
    visitor.page.click("#dry")
    visitor.page.wait_for_selector("#result .notice")


def desk_throttled(visitor: Visitor, site: Site) -> None:
    visitor.page.wait_for_selector("#sync[aria-disabled=false]")
    site.core.fails = Throttled(EVIDENCE, 30)
    visitor.page.click("#sync")
    visitor.page.wait_for_selector("#result .warn")


def nothing(_visitor: Visitor, _: Site) -> None:
    """The page as it opens."""


ME, SIGNED_OUT = "/api/portal", "/api/portal/signed-out"
type Steps = dict[str, Callable[[Visitor, Site], None]]
WALKS: dict[str, tuple[str, str, Steps]] = {
    "updates": ("employee", ME, {
        "my photo": nothing,
        "my photo, updated": updated,
        "my photo, throttled": throttled,
        "my photo, none": without_photos,
    }),
    "failures": ("employee", ME, {"my photo, failed": failed, "my photo, session ended": ended}),
    "waiting": ("employee", ME, {"my photo, working": working}),
    "help desk": ("helpdesk", PATH, {
        "help desk": nothing,
        "help desk, hits": hits,
        "help desk, user": person,
        "help desk, force": force,
        "help desk, tried": tried,
        "help desk, throttled": desk_throttled,
    }),
    "guest": ("guest", ME, {"refused": nothing}),
    "sign-out": ("employee", SIGNED_OUT, {"signed out": nothing}),
}  # fmt: skip
"""Who opens which page, and the states that it then passes through, each with the step to it."""

CHECKED = frozenset(sample([name for *_, steps in WALKS.values() for name in steps], 2))
"""States that axe-core looks at."""


def walk(site: Site, visit: Visit, name: str, **options: object) -> Iterator[tuple[str, Visitor]]:
    """Open a page once, because loading costs most, and go through its states, each by name."""
    who, path, steps = WALKS[name]
    visitor = visit(who, path, failing=True, **options).settled()
    for reached, step in steps.items():
        step(visitor, site)
        yield reached, visitor


def state(site: Site, visit: Visit, name: str, **options: object) -> Visitor:
    """A page in a state."""
    of = next(of for of, (*_, steps) in WALKS.items() if name in steps)
    return next(visitor for reached, visitor in walk(site, visit, of, **options) if reached == name)


@pytest.mark.parametrize("name", [n for n, (*_, steps) in WALKS.items() if CHECKED & set(steps)])
def test_no_findings(site: Site, visit: Visit, name: str) -> None:
    """axe-core finds nothing: in light, in dark, and with forced colors."""
    for reached, visitor in walk(site, visit, name):
        if reached not in CHECKED:
            continue
        assert visitor.findings() == [], reached
        visitor.page.emulate_media(color_scheme="dark")
        assert visitor.findings(COLOR_RULES) == [], reached
        visitor.page.emulate_media(color_scheme="light", forced_colors="active")
        assert visitor.findings(COLOR_RULES) == [], reached
        visitor.page.emulate_media(forced_colors="none")


@pytest.mark.parametrize(
    ("name", "locale"),
    sample(
        product(
            ["my photo, throttled", "help desk, force", "refused"], ["de-DE", "fi-FI", "ja-JP"]
        ),
        4,  # each page once, and each language once
    ),
)
def test_320_pixels(site: Site, visit: Visit, name: str, locale: str) -> None:
    """At 320 pixels (400 % zoom) nothing is cut off and nothing scrolls sideways."""
    viewport = {"width": 320, "height": 640}
    visitor = state(site, visit, name, viewport=viewport, locale=locale)
    assert visitor.width() == 320
    small = visitor.page.evaluate(
        """() => [...document.querySelectorAll('a[href], button, input, [role=option]')]
          .filter(e => e.checkVisibility() && !e.closest('.skip'))
          .map(e => [e.textContent, e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 24 || box.width < 24)
          .map(([text]) => text)"""
    )
    assert small == []


def test_text_spacing(site: Site, visit: Visit) -> None:
    """With the text spacing of WCAG 1.4.12 nothing overlaps or is cut off."""
    visitor = state(site, visit, "my photo, updated", viewport={"width": 390, "height": 800})
    visitor.page.evaluate(
        """() => { for (const e of document.querySelectorAll('*')) {
          e.style.lineHeight = '1.5'; e.style.letterSpacing = '0.12em';
          e.style.wordSpacing = '0.16em'; } }"""
    )
    assert visitor.width() == 390
    cut = visitor.page.evaluate(
        """() => [...document.querySelectorAll('p, strong, button, h1, h2, span')]
          .filter(e => e.checkVisibility() && !e.classList.contains('unseen'))
          .filter(e => getComputedStyle(e).display !== 'inline')
          .filter(e => e.scrollWidth > e.clientWidth + 1)
          .map(e => e.textContent)"""
    )
    assert cut == []


def test_motion(site: Site, visit: Visit) -> None:
    """Nothing moves for people who asked for less motion; for others, the waiting bar does."""
    visitor = state(site, visit, "my photo, working")
    assert visitor.page.evaluate("document.getAnimations().length") == 0
    visitor.page.emulate_media(reduced_motion="no-preference")
    assert visitor.page.evaluate("document.querySelector('#work i').getAnimations().length") > 0


def test_landmarks_and_headings(visit: Visit) -> None:
    """One main heading, one main landmark, and the skip link leads to it."""
    for who, path in (("employee", ME), ("helpdesk", PATH)):
        visitor = visit(who, path).settled()
        assert visitor.page.locator("h1").count() == 1
        visitor.page.keyboard.press("Tab")
        visitor.page.keyboard.press("Enter")
        assert visitor.focused() == "main"
