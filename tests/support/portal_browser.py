"""Somebody in front of a browser, and what the browser complains about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Browser, Page, expect

from local.host.sign_in import COOKIE
from tests.support.portal_site import Site

ROOT = Path(__file__).resolve().parent.parent.parent
AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PATIENCE_MILLISECONDS = 10_000
_UNAVOIDABLE = "Failed to load resource"  # the browser's own line for an answer of 400 or more


class Visitor:
    """A person with a page open; use as a context manager.

    Args:
        browser: a running one.
        site: the portal.
        who: key of an account; None is not signed in.
        path: of the page.
        failing: answers of 400 or more are expected.
        options: of the browser's context.

    Attributes:
        page: to look at and to act on.
        complaints: console messages, uncaught errors, violations of the policy.
    """

    def __init__(
        self,
        browser: Browser,
        site: Site,
        who: str | None,
        path: str,
        *,
        failing: bool = False,
        **options: Any,
    ) -> None:
        self._site = site
        self._failing = failing
        self._context = browser.new_context(
            **{"locale": "en-US", "reduced_motion": "reduce", "timezone_id": "UTC", **options}
        )
        self._context.set_default_timeout(PATIENCE_MILLISECONDS)
        if who:
            token = site.sign_in.sign_in(who)
            self._context.add_cookies([{"name": COOKIE, "value": token, "url": site.url}])
        self.complaints: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self._complain(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(site.url + path)

    def _complain(self, text: str) -> None:
        if not (self._failing and text.startswith(_UNAVOIDABLE)):
            self.complaints.append(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        complaints = self.complaints
        self._context.close()
        if kind is None:
            assert not complaints, complaints

    def settled(self) -> Self:
        """Wait until nothing on the page is busy and its photos have come, or have not."""
        self.page.wait_for_selector("body:not(:has([aria-busy=true]))")
        self.page.evaluate("() => Promise.allSettled([...document.images].map(i => i.decode()))")
        return self

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.page.inner_text(selector)).strip()

    def focused(self) -> str:
        """Id of the element with the focus, or else its tag and text."""
        script = "(() => { const e = document.activeElement; return e.id || e.tagName })()"
        return str(self.page.evaluate(script))

    def posts(self) -> int:
        """How many writes the portal has received."""
        return sum(method == "POST" for method, _ in self._site.requests)

    def findings(self, rules: Sequence[str] = ()) -> list[str]:
        """What axe-core finds; handed over as a value, because the policy allows no script.

        Args:
            rules: only these; all of WCAG 2.2 AA by default.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": TAGS}
        script = "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})"
        found = self.page.evaluate(script, only)
        return [
            f"{finding['id']}: {node['target']}: {node.get('failureSummary', '')}"
            for finding in found["violations"]
            for node in finding["nodes"]
        ]

    def says(self, selector: str, text: str) -> None:
        """Wait until an element says a text, and nothing else."""
        expect(self.page.locator(selector)).to_have_text(text, timeout=PATIENCE_MILLISECONDS)

    def width(self) -> int:
        """How wide the document is, scrolled-out parts included."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))
