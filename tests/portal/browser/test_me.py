"""My photo, in a browser."""

from collections.abc import Callable
from http import HTTPStatus

import pytest
from playwright.sync_api import Browser

from local.host.http_message import HttpAnswer, Request
from local.host.sign_in import Mode
from local.support.clock import VirtualClock
from shared.model import Outcome
from shared.portal.core import Photo, State
from shared.portal.texts import LANGUAGES, catalogue
from tests.support.portal_browser import Visitor
from tests.support.portal_core import EMPLOYEE_ID, Blobs, FakeCore
from tests.support.portal_site import Site
from tests.support.sampling import sample

type Visit = Callable[..., Visitor]
EN = catalogue("en")


def answer_with(site: Site, part: str, status: int, body: bytes = b"", kind: str = "") -> None:
    """Let something in front of the portal answer requests whose path holds a part."""
    headers = {"Content-Type": kind} if kind else {}

    def interrupt(request: Request) -> HttpAnswer | None:
        return HttpAnswer(status, headers, body) if part in request.path else None

    site.interrupt = interrupt


def test_update_my_photo(site: Site, visit: Visit) -> None:
    """One opens the link, presses the button, and sees the photo change; that is all."""
    visitor = visit("employee").settled()
    page = visitor.page
    assert visitor.text("#state") == EN["compare.different"]
    before = page.get_attribute("#sharepoint img", "src")
    assert before != page.get_attribute("#exchange img", "src")
    page.click("#update")
    page.wait_for_selector("#result .notice.good")
    visitor.says("#state", EN["compare.same"])
    assert visitor.text("#result strong") == EN["outcome.updated"]
    assert visitor.text("#result p") == EN["outcome.updated.next"]
    after = page.get_attribute("#sharepoint img", "src") or ""
    assert (
        after.rpartition("=")[2]
        == (page.get_attribute("#exchange img", "src") or "").rpartition("=")[2]
    )
    assert page.evaluate("document.querySelector('#sharepoint img').naturalWidth") == 300
    assert site.core.synced == [(EMPLOYEE_ID, False, False)]


def test_reload_repeats_nothing(visit: Visit) -> None:
    """Reload, back, and forward after an update send no second one."""
    visitor = visit("employee").settled()
    visitor.page.click("#update")
    visitor.page.wait_for_selector("#result .notice.good")
    visitor.page.reload()
    visitor.settled()
    visitor.page.goto("about:blank")
    visitor.page.go_back()
    visitor.settled()
    visitor.page.reload()
    assert visitor.posts() == 1


def test_by_keyboard(visit: Visit) -> None:
    """Tab leads through header, button, and links in order; the result gets the focus."""
    visitor = visit("helpdesk").settled()
    page = visitor.page
    seen = []
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
    assert seen == [
        EN["nav.skip"], EN["me.title"], EN["helpdesk.title"], EN["nav.sign-out"],
        EN["me.update"], EN["me.change.link"],
    ]  # fmt: skip
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result .notice.good")
    assert EN["outcome.updated"] in page.evaluate("document.activeElement.textContent")


def test_progress(site: Site, visit: Visit) -> None:
    """While it works, the button keeps the focus, says so, and cannot be pressed twice."""
    visitor = visit("employee").settled()
    page = visitor.page
    page.evaluate(
        """() => {
          const region = document.getElementById('say');
          window.said = [];
          new MutationObserver(() => region.textContent && said.push(region.textContent))
            .observe(region, {childList: true, characterData: true, subtree: true});
          const send = window.fetch;
          window.fetch = (...all) => new Promise(go => {
            window.release = () => go(send(...all));
          });
        }"""
    )
    page.focus("#update")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    visitor.says("#say", EN["me.updating"])
    assert page.evaluate("said") == [EN["me.updating"]]
    assert page.get_attribute("#update", "aria-disabled") == "true"
    assert visitor.focused() == "update"
    assert page.is_visible("#work")
    page.evaluate("release()")
    page.wait_for_selector("#result .notice.good")
    assert not page.is_visible("#work")
    assert visitor.posts() == 1
    assert len(site.core.synced) == 1


@pytest.mark.parametrize("mode", [Mode.CODE, Mode.PLATFORM])
def test_the_session_ends(browser: Browser, mode: Mode) -> None:
    """In mid-page, in both modes of the platform: the page says so; signing in leads back."""
    path = "/api/portal?lang=fi"
    with (
        Site(FakeCore.with_people(), mode) as site,
        Visitor(browser, site, "employee", path, failing=True) as visitor,
    ):
        page = visitor.settled().page
        site.sign_in.end_sessions()
        page.click("#update")
        page.wait_for_selector("#result .notice.bad")
        assert visitor.text("#result strong") == catalogue("fi")["error.not-signed-in"]
        assert site.core.synced == []
        page.click("#result a")
        page.click("text=employee")
        page.wait_for_selector("#exchange img")
        assert page.url == site.url + path


def test_signing_in_and_out(site: Site, visit: Visit) -> None:
    """Who is not signed in picks a person and is there; signing out ends on a page of ours."""
    visitor = visit(None, "/api/portal/helpdesk?lang=de")
    page = visitor.page
    page.check("text=long names")
    page.click("button[value=helpdesk]")
    page.wait_for_url("**/api/portal/helpdesk?lang=de")
    visitor.settled()
    page.click("text=Abmelden")
    page.wait_for_url("**/api/portal/signed-out")
    assert visitor.text("h1") == EN["note.signed-out.title"]
    page.goto(site.url + "/api/portal")
    assert "/.auth/login/aad" in page.url


FOREIGN: dict[str, tuple[int, bytes, str, str, str]] = {
    "empty 404": (404, b"", "", "unexpected", "unexpected"),
    "throttled by the host": (429, b"", "", "too-many-requests", "too-many-requests"),
    "too many headers": (431, b"", "", "headers-too-large", "headers-too-large"),
    "empty 500": (500, b"", "", "unexpected", "lost"),
    "503 as text": (503, b"Service Unavailable", "text/plain", "unexpected", "lost"),
    "a page of a proxy": (200, b"<h1>Welcome</h1>", "text/html", "unexpected", "lost"),
    "half a document": (200, b'{"user": ', "application/json", "network", "lost"),
    "a problem of somebody else": (
        400, b'{"type":"about:blank"}', "application/problem+json", "unexpected", "unexpected",
    ),
    "cut connection": (0, b"", "", "network", "lost"),
}  # fmt: skip


def test_answers_that_are_not_ours(site: Site, visit: Visit) -> None:
    """The page never breaks: it says what happened, offers to look again, and recovers."""
    visitor = visit("employee", failing=True).settled()
    page = visitor.page
    for name in sample(FOREIGN, 2):
        status, body, kind, for_reading, for_writing = FOREIGN[name]
        answer_with(site, "api/me/sync", status, body, kind)
        page.click("#update[aria-disabled=false]")
        page.wait_for_selector("#result .notice")
        expected = EN[f"error.{for_writing}"].replace("{status}", str(status))
        assert visitor.text("#result strong") == expected, name
        assert site.core.synced == [], name

        answer_with(site, "api/me", status, body, kind)
        page.reload()
        page.wait_for_selector("#result .notice")
        expected = EN[f"error.{for_reading}"].replace("{status}", str(status))
        assert visitor.text("#result strong") == expected, name
        assert page.get_attribute("#result .notice", "role") == "alert", name
        site.interrupt = None
        if page.get_attribute("#result button", "aria-disabled") == "true":
            page.reload()
        else:
            page.click("#result button")
        page.wait_for_selector("#exchange img")
        assert page.query_selector("#result .notice") is None, name


def test_a_lost_answer(site: Site, visit: Visit) -> None:
    """Where nobody knows whether it was done, the page offers to look, not to repeat."""
    visitor = visit("employee", failing=True).settled()
    page = visitor.page

    def interrupt(request: Request) -> HttpAnswer | None:
        if request.method != "POST":
            return None
        site.sign_in.handle(request, site._function)
        return HttpAnswer(0)

    site.interrupt = interrupt
    page.click("#update")
    page.wait_for_selector("#result .notice.warn")
    assert visitor.text("#result button") == EN["error.look"]
    page.click("#result button")
    visitor.says("#state", EN["compare.same"])
    assert len(site.core.synced) == 1


def test_throttled(browser: Browser) -> None:
    """Who is too fast sees the seconds pass and is told when to go on."""
    with (
        Site(FakeCore.with_people(), clock=VirtualClock()) as site,
        Visitor(browser, site, "employee", "/api/portal", failing=True) as visitor,
    ):
        page = visitor.settled().page
        page.clock.install(time=0)
        page.clock.pause_at(1)
        page.click("#update")
        page.wait_for_selector("#result .notice.good")
        page.click("#update[aria-disabled=false]")
        page.wait_for_selector("#result .notice.warn")
        assert visitor.text("#update") == "Available in 60 s"
        page.clock.run_for(20_000)
        assert visitor.text("#update") == "Available in 40 s"
        page.click("#update", force=True)
        page.clock.run_for(41_000)
        assert visitor.text("#update") == EN["me.update"]
        visitor.says("#say", EN["wait.over"])
        assert len(site.core.synced) == 1


def test_outcomes(site: Site, visit: Visit) -> None:
    """Every outcome has its words and what comes next."""
    fake = site.core.users[EMPLOYEE_ID]
    visitor = visit("employee")
    assert list(Outcome)[-1] is Outcome.DEFERRED  # after it the button waits
    for outcome in Outcome:
        fake.outcome = outcome.value
        site.core.store = Blobs()
        visitor.page.click("#update[aria-disabled=false]")
        visitor.says("#result strong", EN[f"outcome.{outcome}"])
        assert visitor.text("#result p") == EN[f"outcome.{outcome}.next"]
        assert "423" not in visitor.text("main")


STATES: list[tuple[State, State, str]] = [
    (State.NONE, State.NONE, "compare.none"),
    (State.PHOTO, State.NONE, "compare.only_exchange"),
    (State.PHOTO, State.NO_PROFILE, "compare.no_profile"),
    (State.NONE, State.PHOTO, "compare.only_sharepoint"),
    (State.NONE, State.NO_PROFILE, "compare.none"),
    (State.UNUSABLE, State.PHOTO, "compare.unusable"),
    (State.UNKNOWN, State.PHOTO, "compare.unknown"),
    (State.PHOTO, State.UNKNOWN, "compare.unknown"),
    (State.UNKNOWN, State.UNKNOWN, "compare.unknown"),
    (State.PHOTO, State.UNUSABLE, "compare.only_exchange"),
]


def test_states(site: Site, visit: Visit) -> None:
    """No photo, no profile, an unusable photo, a service that does not answer: in words."""
    fake = site.core.users[EMPLOYEE_ID]
    photos = {"exchange": fake.exchange, "sharepoint": fake.sharepoint}
    visitor = visit("employee").settled()
    for here, there, key in STATES:
        fake.exchange = photos["exchange"] if here is State.PHOTO else Photo(here)
        fake.sharepoint = photos["sharepoint"] if there is State.PHOTO else Photo(there)
        site.core.store = Blobs()
        visitor.page.reload()
        visitor.settled()
        assert visitor.text("#state") == EN[key]
        for source, state in (("exchange", here), ("sharepoint", there)):
            if state is State.PHOTO:
                visitor.page.wait_for_selector(f"#{source} img")
            else:
                assert visitor.text(f"#{source} .frame") == EN[f"photo.{state}.{source}"]


def test_a_photo_that_does_not_load(site: Site, visit: Visit) -> None:
    """A photo whose request fails leaves words instead of a broken image."""
    answer_with(site, "photo/sharepoint", HTTPStatus.BAD_GATEWAY)
    visitor = visit("employee", failing=True).settled()
    visitor.page.wait_for_selector("#sharepoint .empty")
    assert visitor.text("#sharepoint .frame") == EN["photo.unknown.sharepoint"]


def test_before_the_first_night(site: Site, visit: Visit) -> None:
    """Who comes before any run reads that nothing was copied yet."""
    site.core.users[EMPLOYEE_ID].record = None
    visitor = visit("employee").settled()
    assert visitor.text("#checked") == EN["me.never"]


@pytest.mark.parametrize(
    ("who", "kind"),
    [("guest", "guest"), ("stranger", "other-tenant"), ("stale", "session-too-old"),
     ("application", "people-only")],
)  # fmt: skip
def test_who_may_not_come_in(visit: Visit, who: str, kind: str) -> None:
    """They read why, in their language, and can sign in as somebody else."""
    visitor = visit(who, failing=True, locale="ja-JP")
    assert visitor.text("h1") == catalogue("ja")[f"note.{kind}.title"]
    assert visitor.text("main a") == catalogue("ja")["note.sign-in"]


@pytest.mark.parametrize("language", sample(LANGUAGES, 4, 2))  # two that no other test opens
def test_languages(visit: Visit, language: str) -> None:
    """The browser's language is spoken, dates included, and another is one click away."""
    texts = catalogue(language)
    visitor = visit("employee", locale=language).settled()
    page = visitor.page
    assert page.get_attribute("html", "lang") == language
    assert visitor.text("#state") == texts["compare.different"]
    date = page.evaluate(
        "l => new Intl.DateTimeFormat(l, {dateStyle: 'medium', timeStyle: 'short'})"
        ".format(new Date('2026-11-25T10:19:00Z'))",
        language,
    )
    assert visitor.text("#checked") == texts["me.checked"].replace("{when}", date)
    other = "sv" if language != "sv" else "fi"
    page.click(f"footer a[lang={other}]")
    visitor.settled()
    assert visitor.text("h1") == catalogue(other)["me.title"]


def test_it_is_closed(browser: Browser) -> None:
    """Without sign-in in front of it nothing is shown but why, however forged the headers are."""
    with Site(FakeCore.with_people(), Mode.OFF) as site:
        site._portal.environ["WEBSITE_AUTH_ENABLED"] = "False"  # type: ignore[index]
        with Visitor(browser, site, "employee", "/api/portal", failing=True) as visitor:
            assert visitor.text("h1") == EN["note.closed.title"]
            assert "not turned on" in visitor.text("dl")
