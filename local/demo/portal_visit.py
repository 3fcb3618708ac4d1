"""The end of the demo: an employee and the help desk visit the portal.

The visit itself speaks HTTP as the pages do. Where Playwright and a Chromium are installed (after
`make test` they are), a browser makes pictures of both pages as well.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.support.browser import arguments, find_browser
from local.support.stack import Stack

_ANSWER_SECONDS = 60
_PICTURE_WIDTH, _PICTURE_HEIGHT = 1280, 860
_COOKIE = "AppServiceAuthSession"


class VisitFailed(Exception):
    """The portal did not answer as the demo shows."""


@dataclass(frozen=True)
class Visit:
    """What happened.

    Attributes:
        seconds: from opening the link to the updated photo, without the time of a person.
        outcome: of the employee's update.
        pictures: of the pages, by title; empty without a browser.
    """

    seconds: float
    outcome: str
    pictures: Mapping[str, Path]


class _Session:
    """A signed-in person, as a browser has them.

    Args:
        url: of the functions.
        account: who to be, by the sign-in page's name.
    """

    def __init__(self, url: str, account: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        form = {"account": account, "back": "/api/portal"}
        self._session.post(
            f"{url}/.auth/login/aad/callback",
            data=form,
            timeout=_ANSWER_SECONDS,
            allow_redirects=False,
        )
        self.cookie = str(self._session.cookies.get(_COOKIE, ""))

    def get(self, path: str) -> Any:
        """A JSON document, or the text of a page."""
        return self._read(self._session.get(self._url + path, timeout=_ANSWER_SECONDS))

    def post(self, path: str) -> Any:
        """Send what a button of the pages sends."""
        answer = self._session.post(
            self._url + path,
            json={"requestId": str(uuid.uuid4())},
            headers={"X-Requested-With": "portal", "Origin": self._url},
            timeout=_ANSWER_SECONDS,
        )
        return self._read(answer)

    @staticmethod
    def _read(answer: requests.Response) -> Any:
        if not answer.ok:
            raise VisitFailed(f"the portal answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.text


def visit(stack: Stack, photo: bytes, folder: Path) -> Visit:
    """The employee has a new photo and updates SharePoint; the help desk looks at them.

    Args:
        stack: a running one, after a night.
        photo: the employee's new one.
        folder: where pictures go.

    Raises:
        VisitFailed: an answer is not what it should be.
    """
    person = stack.employee
    employee, help_desk = (_Session(stack.url, who) for who in ("employee", "helpdesk"))
    stack.tenant.directory.set_photo(person.id, photo)
    began = time.monotonic()
    employee.get("/api/portal")
    before = employee.get("/api/portal/api/me")
    outcome = str(employee.post("/api/portal/api/me/sync")["outcome"])
    after = employee.get("/api/portal/api/me")
    seconds = time.monotonic() - began
    if (before["comparison"], after["comparison"]) != ("different", "same"):
        raise VisitFailed(f"the update did not make the photos the same: {before} {after}")
    found = help_desk.get(f"/api/portal/api/users?query={person.upn}")
    if [user["id"] for user in found["users"]] != [person.id]:
        raise VisitFailed(f"the help desk does not find {person.upn}")
    return Visit(seconds, outcome, _pictures(stack, folder, employee.cookie, help_desk.cookie))


def _pictures(stack: Stack, folder: Path, employee: str, help_desk: str) -> dict[str, Path]:
    """Pictures of both pages; none without Playwright or a browser.

    Args:
        stack: a running one.
        folder: where they go.
        employee: session cookie.
        help_desk: session cookie.
    """
    path = find_browser()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may not be installed
    except ModuleNotFoundError:
        return {}
    if path is None:
        return {}
    made = {
        "My photo": folder / "portal-my-photo.png",
        "Help desk": folder / "portal-help-desk.png",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments())
        for (title, file), cookie in zip(made.items(), (employee, help_desk), strict=True):
            context = browser.new_context(
                viewport={"width": _PICTURE_WIDTH, "height": _PICTURE_HEIGHT},
                reduced_motion="reduce",
                locale="en-US",
            )
            context.add_cookies([{"name": _COOKIE, "value": cookie, "url": stack.url}])
            page = context.new_page()
            if title == "My photo":
                page.goto(f"{stack.url}/api/portal")
            else:
                page.goto(f"{stack.url}/api/portal/helpdesk")
                page.fill("#find", stack.employee.upn)
                page.click("#hits li")
                page.wait_for_selector("#record dd")
            page.wait_for_selector("body:not(:has([aria-busy=true]))")
            page.evaluate("() => Promise.allSettled([...document.images].map(i => i.decode()))")
            page.screenshot(path=str(file), full_page=True)
            context.close()
        browser.close()
    return made
