"""Both pages on the whole product: emulated tenant, Azurite, functions under the worker library."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from local.support.stack import Stack
from local.tenant.pictures import Gallery
from shared.portal.texts import catalogue

EN = catalogue("en")
PATIENCE_MILLISECONDS = 30_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A tenant before its first night."""
    log = tmp_path_factory.mktemp("stack") / "host.log"
    with Stack(users=40, log=log, settings={"RUN_INTERVAL_HOURS": "0"}) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; nothing may be complained about in its console."""
    context = browser.new_context(locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    opened, complaints = context.new_page(), []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


def open_as(page: Page, stack: Stack, who: str, path: str) -> None:
    page.goto(stack.url + path)
    page.click(f"button[value={who}]")


def test_from_the_link_to_done(stack: Stack, page: Page) -> None:
    """Before any night: sign in, one click, done; SharePoint shows the photo."""
    open_as(page, stack, "employee", "/api/portal")
    expect(page.locator("#state")).not_to_have_text(EN["compare.loading"])
    expect(page.locator("#checked")).to_have_text(EN["me.never"])
    began = time.monotonic()
    page.click("#update[aria-disabled=false]")
    expect(page.locator("#result strong")).to_have_text(EN["outcome.updated"])
    expect(page.locator("#state")).to_have_text(EN["compare.same"])
    assert time.monotonic() - began < PATIENCE_MILLISECONDS / 1000
    assert stack.tenant.sharepoint.shown_picture(stack.employee.id, "L")


def test_the_help_desk(stack: Stack, page: Page) -> None:
    """Find a user by address, see that the photos differ, sync, and find it in the history."""
    person = stack.help_desk
    stack.tenant.directory.set_photo(person.id, Gallery(9, 1).portrait(0, "HD").data)
    open_as(page, stack, "helpdesk", "/api/portal/helpdesk")
    expect(page.locator("#run")).to_contain_text(EN["run.none"])
    expect(page.locator("#checks")).to_contain_text("portal sign-in")
    expect(page.locator("#checks .alarm")).to_have_count(0)
    page.fill("#find", person.upn)
    page.click("#hits li")
    page.wait_for_selector("#exchange img")
    page.click("#sync")
    expect(page.locator("#result strong")).to_have_text(EN["outcome.updated"])
    expect(page.locator("#state")).to_have_text(EN["compare.same"])
    expect(page.locator("#history")).to_contain_text("Help desk: sync")
    expect(page.locator("#history")).to_contain_text("Help desk: view")


def test_the_machine_api_is_as_it_was(stack: Stack) -> None:
    """A key still opens it without a sign-in, and a session does not replace the key."""
    answer = stack.call("GET", "/api/sync")
    assert answer.ok
    checks = {check["name"]: check["ok"] for check in answer.json()["checks"]}
    assert checks["portal settings"]
    assert checks["portal sign-in"]
    forged = {"x-functions-key": "", "X-MS-CLIENT-PRINCIPAL": "eyJjbGFpbXMiOltdfQ=="}
    assert (
        stack._session.get(f"{stack.url}/api/sync", headers=forged, timeout=30).status_code == 401
    )
