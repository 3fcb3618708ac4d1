"""Makes the pictures of the portal in docs/: `python -m local.tools.portal_pictures`.

Needs Playwright and a Chromium, which `make setup` installs where it can.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from local.host.sign_in import COOKIE
from local.support.browser import arguments, find_browser
from local.support.stack import ROOT, Stack
from local.tenant.pictures import Gallery

_USERS = 300
_DOCS = ROOT / "docs"
_COLORS = 128


def main() -> int:
    """Make all pictures; returns the exit status."""
    path = find_browser()
    if path is None:
        print("No Chromium, Chrome, or Edge is installed", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "host.log"
        settings = {"RUN_INTERVAL_HOURS": "0"}
        with (
            Stack(users=_USERS, seed=4, log=log, settings=settings) as stack,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=path, args=arguments())
            _my_photo(browser, stack)
            _help_desk(browser, stack)
            browser.close()
    return 0


def _open(browser: Browser, stack: Stack, who: str, path: str, **options: object) -> Page:
    context = browser.new_context(
        reduced_motion="reduce",
        **{"locale": "en-US", **options},
    )
    page = context.new_page()
    page.goto(stack.url + path)
    page.click(f"button[value={who}]")
    _settle(page)
    assert any(cookie["name"] == COOKIE for cookie in context.cookies())  # noqa: S101
    return page


def _settle(page: Page) -> None:
    page.wait_for_selector("body:not(:has([aria-busy=true]))")
    page.evaluate("() => Promise.allSettled([...document.images].map(i => i.decode()))")


def _my_photo(browser: Browser, stack: Stack) -> None:
    directory = stack.tenant.directory
    name = stack.employee.display_name
    initials = "".join(part[0] for part in name.split()[:2]).upper()
    stack.call("POST", f"/api/sync/{stack.employee.id}")
    directory.set_photo(stack.employee.id, Gallery(21, 1).portrait(0, initials).data)
    size = {"width": 880, "height": 800}
    page = _open(browser, stack, "employee", "/api/portal", viewport=size)
    _save(page, "portal-my-photo.png")
    page.emulate_media(color_scheme="dark")
    page.click("#update[aria-disabled=false]")
    page.wait_for_selector("#result .notice")
    page.wait_for_selector("#state[data-tone=same]")
    _settle(page)
    page.set_viewport_size({"width": 880, "height": 940})
    page.evaluate("window.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    _save(page, "portal-my-photo-updated.png")
    page.context.close()


def _help_desk(browser: Browser, stack: Stack) -> None:
    fired = stack.call("POST", "/admin/functions/SyncTimer", master=True, json={"input": ""})
    assert fired.ok  # noqa: S101
    size = {"width": 1240, "height": 1180}
    page = _open(browser, stack, "helpdesk", "/api/portal/helpdesk", viewport=size)
    for _ in range(60):
        if page.locator("#run .ok").count():
            break
        page.wait_for_timeout(500)
        page.click("#again")
        _settle(page)
    page.fill("#find", stack.employee.upn)
    page.click("#hits li")
    page.wait_for_selector("#record dd")
    _settle(page)
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    _save(page, "portal-help-desk.png")
    page.context.close()


def _save(page: Page, name: str) -> None:
    """A small PNG: few colors are enough for a page."""
    target = _DOCS / name
    page.screenshot(path=str(target))
    with Image.open(target) as image:
        image.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    sys.exit(main())
