"""The help desk's page, in a browser."""

import uuid
from collections.abc import Callable
from dataclasses import replace

from shared.errors import Evidence, Throttled, Unavailable
from shared.portal.core import Photo, State
from shared.portal.texts import catalogue
from tests.portal.browser.test_me import answer_with
from tests.support.portal_browser import Visitor
from tests.support.portal_core import EMPLOYEE_ID
from tests.support.portal_site import Site

type Visit = Callable[..., Visitor]
EN = catalogue("en")
PATH = "/api/portal/helpdesk"


def find(visitor: Visitor, text: str = "ade") -> None:
    visitor.page.fill("#find", text)
    visitor.page.wait_for_selector("#hits li")


def choose(visitor: Visitor) -> None:
    find(visitor)
    visitor.page.click("#hits li")
    visitor.page.wait_for_selector("#record dd")


def test_by_keyboard_alone(site: Site, visit: Visit) -> None:
    """Find a user, open them, sync them: without a mouse, and always with a visible focus."""
    visitor = visit("helpdesk", PATH).settled()
    page = visitor.page
    page.focus("#find")
    page.keyboard.type("ade", delay=20)
    page.wait_for_selector("#hits li")
    assert page.get_attribute("#find", "aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    active = page.get_attribute("#find", "aria-activedescendant")
    assert page.get_attribute(f"#{active}", "aria-selected") == "true"
    assert visitor.focused() == "find"
    page.keyboard.press("Enter")
    page.wait_for_selector("#record dd")
    assert visitor.focused() == "person-name"
    assert not page.is_visible("#hits")
    page.keyboard.press("Tab")
    assert visitor.focused() == "sync"
    page.keyboard.press("Enter")
    page.wait_for_selector("#result .notice.good")
    assert EN["outcome.updated"] in page.evaluate("document.activeElement.textContent")
    assert site.core.synced == [(EMPLOYEE_ID, False, False)]
    visitor.says("#state", EN["compare.same"])


def test_the_list(site: Site, visit: Visit) -> None:
    """Arrow keys go around, Escape closes, a click chooses, and the count is spoken."""
    for number in range(12):
        person = (str(uuid.UUID(int=number)), f"Twin {number:02}", f"twin{number}@contoso.example")
        site.core.add(person, Photo(State.NONE), Photo(State.NO_PROFILE))
    visitor = visit("helpdesk", PATH).settled()
    page = visitor.page
    find(visitor, "twin")
    assert page.locator("#hits li").count() == 10
    visitor.says("#say", EN["search.more"].replace("{count}", "10"))
    page.keyboard.press("ArrowUp")
    assert page.get_attribute("#find", "aria-activedescendant") == "hit-9"
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#find", "aria-activedescendant") == "hit-0"
    page.keyboard.press("Escape")
    assert not page.is_visible("#hits")
    assert page.get_attribute("#find", "aria-activedescendant") is None
    page.keyboard.press("ArrowDown")
    page.click("#hits li:nth-child(3)")
    assert visitor.text("#person-name") == "Twin 02"
    page.wait_for_selector("#record dd")
    assert visitor.text("#state") == EN["compare.none"]


def test_letters(site: Site, visit: Visit) -> None:
    """Two letters ask nobody, a name nobody has is said so."""
    visitor = visit("helpdesk", PATH).settled()
    page = visitor.page
    page.clock.install()
    page.focus("#find")
    page.keyboard.type("ad")
    page.clock.run_for(1_000)
    assert not any("api/users" in target for _, target in site.requests)
    page.fill("#find", "nobody at all")
    page.clock.run_for(1_000)
    visitor.says("#find-hint", EN["search.none"])
    assert not page.is_visible("#hits")


def test_try_and_force(site: Site, visit: Visit) -> None:
    """A trial says what would happen; force asks first and says what it does."""
    visitor = visit("helpdesk", PATH).settled()
    page = visitor.page
    choose(visitor)
    page.click("#dry")
    page.wait_for_selector("#result .notice")
    assert visitor.text("#result strong") == EN["outcome.dry"].replace("{outcome}", "Updated")
    assert visitor.text("#state") == EN["compare.different"]
    page.click("#force")
    assert page.get_attribute("#force", "aria-expanded") == "true"
    assert visitor.focused() == "force-yes"
    page.click("#force-no")
    assert visitor.focused() == "force"
    assert not page.is_visible("#force-box")
    page.click("#force")
    page.click("#force-yes")
    page.wait_for_selector("#result .notice.good")
    assert site.core.synced == [(EMPLOYEE_ID, False, True), (EMPLOYEE_ID, True, False)]


def test_what_is_known_of_a_user(visit: Visit) -> None:
    """Photos, record, and history: who did what, when, and with which outcome."""
    visitor = visit("helpdesk", PATH).settled()
    choose(visitor)
    assert visitor.text("#person-upn") == "adele@contoso.example"
    assert "Updated" in visitor.text("#record")
    history = visitor.text("#history")
    for words in ("Nightly run: sync", "Failed", "423 locked", "Help desk: view", "The user: sync"):
        assert words in history
    assert visitor.page.get_attribute("#exchange img", "alt") == EN["alt.exchange.theirs"].replace(
        "{name}", "Adele Vance"
    )


def test_last_night(visit: Visit) -> None:
    """Figures, outcomes, what is held back, who failed and why, and the checks with remedies."""
    visitor = visit("helpdesk", PATH).settled()
    run, checks = visitor.text("#night"), visitor.text("#checks")
    for words in ("Completed", "4,996", "12 min", "503", "Updated 42", "Removals held back: 14"):
        assert words in run
    assert "423 locked" in run
    assert "the JPEG ends too early" in run
    assert EN["checks.bad"] in checks
    assert "infra/permissions/grant.sh" in checks
    widths = visitor.page.evaluate(
        "[...document.querySelectorAll('.outcomes i')].map(i => i.getBoundingClientRect().width)"
    )
    assert len(widths) == 9
    assert max(widths) == widths[2] > 20 * widths[0]
    visitor.page.click("#night .problems button")
    visitor.page.wait_for_selector("#record dd")
    assert visitor.text("#person-name") == "Adele Vance"


def test_before_the_first_night(site: Site, visit: Visit) -> None:
    """Without a run the page says so and when one is planned."""
    site.core.overview_ = replace(site.core.overview_, run=None, lines=[])
    visitor = visit("helpdesk", PATH).settled()
    assert EN["run.none"] in visitor.text("#run")
    assert "Next start" in visitor.text("#run")


def test_a_run_that_goes_on_or_stopped(site: Site, visit: Visit) -> None:
    """A run in the middle and one that stopped are named; a reload shows how it went on."""
    overview = site.core.overview_
    running = {**(overview.run or {}), "status": "running", "ended": None, "updated": None,
               "counts": {}, "inScope": 0}  # fmt: skip
    site.core.overview_ = replace(overview, run=running, lines=[])
    visitor = visit("helpdesk", PATH).settled()
    assert EN["run.running"] in visitor.text("#run")
    assert EN["problems.none"] in visitor.text("#run")
    stopped = {**running, "status": "stopped", "reason": "Graph answers nobody", "mode": "dry-run"}
    site.core.overview_ = replace(overview, run=stopped, more_lines=True)
    visitor.page.click("#again")
    visitor.page.wait_for_selector("text=Graph answers nobody")
    for key in ("run.stopped", "run.dry"):
        assert EN[key] in visitor.text("#run")
    assert EN["problems.more"].replace("{count}", "2") in visitor.text("#run")


def test_failures(site: Site, visit: Visit) -> None:
    """Every part of the page fails by itself, with the technicians' sentence and a way on."""
    evidence = Evidence("graph", "GET", "https://graph.example/users", 503, request_id="req-7")
    site.core.fails = Unavailable(evidence)
    visitor = visit("helpdesk", PATH, failing=True)
    page = visitor.settled().page
    assert visitor.text("#run strong") == EN["error.service-failed"]
    assert "req-7" in visitor.text("#run")
    page.fill("#find", "adele")
    page.wait_for_selector("#find-problem .notice")
    site.core.fails = None
    page.click("#find-problem button")
    page.wait_for_selector("#run button")
    page.click("#run button")
    page.wait_for_selector(".outcomes")
    choose(visitor)
    site.core.fails = Throttled(evidence, 30)
    page.click("#sync")
    page.wait_for_selector("#result .notice.warn")
    assert visitor.text("#result strong") == EN["error.throttled"]
    assert page.get_attribute("#sync", "aria-disabled") == "true"
    assert "Available in" in visitor.text("#sync")
    site.core.fails = None
    answer_with(site, "/sync", 500)
    choose(visitor)
    page.click("#sync")
    page.wait_for_selector("#result .notice.warn")
    assert visitor.text("#result button") == EN["error.look"]


def test_the_session_ends(site: Site, visit: Visit) -> None:
    """A session that ends shows the way back in, wherever it is noticed."""
    visitor = visit("helpdesk", PATH, failing=True).settled()
    site.sign_in.end_sessions()
    visitor.page.fill("#find", "adele")
    visitor.page.wait_for_selector("#find-problem a")
    assert visitor.text("#find-problem strong") == EN["error.not-signed-in"]
    visitor.page.click("#find-problem a")
    visitor.page.click("button[value=helpdesk]")
    visitor.page.wait_for_url("**" + PATH)


def test_employees_are_told(visit: Visit) -> None:
    """Who follows a link to this page without the role reads who it is for."""
    visitor = visit("employee", PATH, failing=True)
    assert visitor.text("h1") == EN["note.help-desk-only.title"]


def test_a_user_of_strange_name(site: Site, visit: Visit) -> None:
    """Names are shown as text, whatever they hold."""
    name = 'Adel<img src=x onerror=alert(1)> & "Co"'
    person = (str(uuid.UUID(int=7)), name, "adel'o@contoso.example")
    site.core.add(person, Photo(State.NONE), Photo(State.NONE))
    visitor = visit("helpdesk", PATH).settled()
    find(visitor, "adel<")
    assert name in visitor.text("#hits")
    visitor.page.click("#hits li")
    visitor.page.wait_for_selector("#record dd")
    assert visitor.text("#person-name") == name
