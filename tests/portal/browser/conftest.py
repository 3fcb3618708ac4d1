"""A real browser in front of the portal: one for all tests, a context of its own for each."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from local.support.browser import arguments, find_browser
from tests.support.portal_browser import Visitor
from tests.support.portal_core import FakeCore
from tests.support.portal_site import Site

_WITHOUT = (
    # A new context opens a window, and for each window Chromium loads two pages into its address
    # bar and keeps a process ready: nobody sees them, and they were half of the CPU time.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess",
    # The last list of features counts, so Playwright's own are repeated: plain HTTP stays plain,
    # nothing is asked of the Internet, and navigation does what is waited for.
    "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable", "OptimizationHints", "AimEnabled",
    "NetworkTimeServiceQuerying", "PreconnectToSearch", "LensOverlay", "MediaRouter",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "PaintHolding",
    "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; where none is installed, tests are skipped, but never in continuous integration."""
    path = find_browser()
    if path is None:
        why = "no Chromium, Chrome, or Edge is installed (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    flags = [*arguments(), "--disable-features=" + ",".join(_WITHOUT)]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=flags)
        yield running
        running.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """The portal with its two people."""
    with Site(FakeCore.with_people()) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Any]:
    """Opens a page as somebody; the test fails when the browser had anything to complain about."""
    with ExitStack() as exits:
        yield lambda who, path="/api/portal", **options: exits.enter_context(
            Visitor(browser, site, who, path, **options)
        )
