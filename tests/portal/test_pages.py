"""The pages as documents: languages, weight, headers, nothing from elsewhere."""

import base64
import hashlib
import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from local.host.sign_in import Dialect, accounts, principal
from shared.model import Outcome
from shared.portal import files, message
from shared.portal.message import DATA_POLICY, PAGE_POLICY, Answer, Request
from shared.portal.pages import Reader, refusal, sign_in_path
from shared.portal.texts import DEFAULT, LANGUAGES, catalogue, choose
from shared.sign_in import Refusal
from tests.support.portal_core import EMPLOYEE_ID, PEOPLE, FakeCore
from tests.support.portal_site import ENVIRONMENT, portal

FOLDER = Path(message.__file__).parent
ACCOUNTS = {account.key: account for account in accounts(PEOPLE)}
PAGES = {"": "me.js", "helpdesk": "helpdesk.js"}


def get(path: str, who: str | None = "helpdesk", lang: str = "", **headers: str) -> Answer:
    sent = {"sec-fetch-site": "same-origin", **headers}
    if who:
        sent["x-ms-client-principal"] = principal(ACCOUNTS[who], Dialect.SHORT)
        sent["x-ms-client-principal-idp"] = "aad"
    query = {"lang": lang} if lang else {}
    return portal(FakeCore.with_people()).answer(Request("GET", path, query, sent))


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogues_are_complete(language: str) -> None:
    """Every language has every text, with the same placeholders, and none is empty."""
    english, found = catalogue(DEFAULT), catalogue(language)
    assert found.keys() == english.keys()
    for key, text in found.items():
        assert text.strip() == text != "", key
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(
            re.findall(r"\{\w+\}", english[key])
        ), key


@pytest.mark.parametrize("language", [tag for tag in LANGUAGES if tag != DEFAULT])
def test_catalogues_are_translated(language: str) -> None:
    """No sentence is left in English."""
    english, found = catalogue(DEFAULT), catalogue(language)
    same = [k for k, text in found.items() if text == english[k] and len(text.split()) > 2]
    assert same == []


def test_every_text_is_there_and_used() -> None:
    """Scripts and pages name only keys that exist, and no key is left over."""
    keys = set(catalogue(DEFAULT))
    scripts = _all(*FOLDER.glob("assets/*.js"), FOLDER / "pages.py")
    named = set(re.findall(r"\bt\(\"([\w.-]+)\"", scripts))
    named |= set(re.findall(r"\{\{([\w.-]+)\}\}", _all(*FOLDER.glob("html/*.html"))))
    named |= set(re.findall(r"texts\[\"([\w.-]+)\"\]", scripts))
    named |= {key for key in re.findall(r"\"([a-z_]+(?:\.[a-z_-]+)+)\"", scripts) if key in keys}
    outcomes = {f"outcome.{outcome}{end}" for outcome in Outcome for end in ("", ".next", ".name")}
    families = ("outcome.", "error.", "note.", "photo.", "compare.", "alt.", "activity.", "by.",
                "run.", "problems.")  # fmt: skip
    assert named <= keys
    assert outcomes <= keys
    assert {key for key in keys - named if not key.startswith(families)} == set()


def _all(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_every_refusal_has_a_text() -> None:
    """Whoever is refused reads why in their language, on the page and in it."""
    keys = catalogue(DEFAULT)
    for kind in {*Refusal, "help-desk-only", "not-found", "signed-out"} - {
        Refusal.NOT_SIGNED_IN,  # is sent to sign-in
        Refusal.FORGED,  # is nobody who reads
    }:
        assert f"note.{kind}.title" in keys
        assert f"note.{kind}.text" in keys


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        (None, None, "en"),
        (None, "", "en"),
        ("fi", "de", "fi"),
        ("FI", None, "fi"),
        ("xx", "de", "de"),
        (None, "fi-FI,fi;q=0.9,en;q=0.8", "fi"),
        (None, "en;q=0.2, ja;q=0.9", "ja"),
        (None, "sv-SE", "sv"),
        (None, "pt-BR, es;q=0.5", "es"),
        (None, "da, nb", "en"),
        (None, "de;q=0, fr;q=0.1", "fr"),
        (None, "de;q=x, fr;q=0.1", "fr"),
        (None, "de;q=7, fr;q=0.1", "fr"),
        (None, "*", "en"),
        (None, "nl;q=0.5,de;q=0.5", "nl"),
        (None, ",,;;=,q=1", "en"),
        (None, "x" * 100_000, "en"),
    ],
)
def test_languages(wanted: str | None, accepted: str | None, language: str) -> None:
    """The chosen language wins, then the browser's by quality, then English."""
    assert choose(wanted, accepted) == language


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_shells(path: str, language: str) -> None:
    """A page stands without data, in its language, with its texts for the script."""
    html = get(path, lang=language).body.decode()
    assert f'<html lang="{language}" dir="ltr">' in html
    assert "{{" not in html
    block = re.search(r'<script type="application/json" id="texts">(.*?)</script>', html, re.DOTALL)
    assert block
    assert json.loads(block[1]) == dict(catalogue(language))
    assert html.count(f"?lang={language}") >= 1
    assert "<h1>" in html


def test_a_page_without_a_chosen_language_does_not_choose_one() -> None:
    """The browser's language is followed without a trace in the links."""
    html = get("", **{"accept-language": "sv"}).body.decode()
    assert '<html lang="sv"' in html
    assert 'href="/api/portal/helpdesk"' in html


def test_only_the_help_desk_is_shown_the_way() -> None:
    """Employees see no link to a page that refuses them."""
    assert "/api/portal/helpdesk" not in get("", "employee").body.decode()
    assert 'aria-current="page"' in get("helpdesk").body.decode()


@pytest.mark.parametrize("path", PAGES)
def test_weight(path: str) -> None:
    """A page weighs less than 100 kB without photos, in any language, uncompressed."""
    for language in LANGUAGES:
        html = get(path, lang=language).body
        names = set(re.findall(rf"{files.base()}([\w.]+)", html.decode()))
        todo = list(names)
        while todo:
            text = get(f"assets/{files.version()}/{todo.pop()}").body.decode()
            for name in set(re.findall(r'from "\./([\w.]+)"', text)) - names:
                names.add(name)
                todo.append(name)
        weight = len(html) + sum(
            len(get(f"assets/{files.version()}/{name}").body) for name in names
        )
        assert weight < 100_000, (language, weight)


def test_nothing_from_elsewhere() -> None:
    """No page, style, or script names another host, but for the links people may follow."""
    allowed = {"https://myaccount.microsoft.com/", "http://www.w3.org/2000/svg", "https://"}
    for path in FOLDER.glob("*/*.*"):
        if path.suffix in {".js", ".css", ".html", ".svg"}:
            text = path.read_text(encoding="utf-8")
            assert set(re.findall(r"https?://[^\s\"'`)<]*", text)) <= allowed, path
            assert "@import" not in text
            assert "innerHTML" not in text


def test_no_inline_script_or_style() -> None:
    """The policy allows none, so there is none."""
    for path in FOLDER.glob("html/*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\son\w+=|\sstyle=|javascript:", text)
        assert "<script" not in text


EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ANSWERS: dict[str, tuple[Answer, int, str, str]] = {
    "page": (get(""), 200, PAGE_POLICY, "no-store"),
    "refused page": (get("helpdesk", "employee"), 403, PAGE_POLICY, "no-store"),
    "missing page": (get("nothing"), 404, PAGE_POLICY, "no-store"),
    "sign-in": (get("", None), 302, DATA_POLICY, "no-store"),
    "json": (get("api/me"), 200, DATA_POLICY, "no-store"),
    "problem": (get("api/me", None), 401, DATA_POLICY, "no-store"),
    "missing": (get("api/nothing"), 404, DATA_POLICY, "no-store"),
    "photo": (get("api/me/photo/exchange"), 200, DATA_POLICY, "private, no-cache"),
    "asset": (
        get(f"assets/{files.version()}/portal.css"),
        200,
        DATA_POLICY,
        "public, max-age=31536000, immutable",
    ),
    "asset of another version": (get("assets/0123456789ab/me.js"), 200, DATA_POLICY, "no-store"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_headers(name: str) -> None:
    """Every kind of answer carries its policy, its caching, and the headers of all."""
    answer, status, policy, cache = ANSWERS[name]
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"] == policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == cache
    assert EVERYWHERE.items() <= answer.headers.items()
    assert "charset" not in answer.mimetype
    for header, value in answer.headers.items():
        assert value.isascii(), header
        assert value.isprintable(), header
    assert "Set-Cookie" not in answer.headers


def test_the_policy_of_pages() -> None:
    """Scripts, styles, photos, and calls of this site only; no form, base, or frame of another."""
    directives = dict(part.strip().split(" ", 1) for part in PAGE_POLICY.split(";"))
    assert directives.pop("default-src") == "'none'"
    assert directives.pop("img-src") == "'self' data:"
    assert directives.pop("base-uri") == directives.pop("frame-ancestors") == "'none'"
    assert set(directives.values()) == {"'self'"}


def test_the_closed_page() -> None:
    """It names reason and remedy and needs no other file, because those are closed as well."""
    environ = {**ENVIRONMENT, "WEBSITE_AUTH_ENABLED": "False"}
    gate = portal(FakeCore.with_people(), environ)
    answer = gate.answer(Request("GET", "", {"lang": "fi"}))
    html = answer.body.decode()
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "authentication is not turned on" in html
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert "src=" not in html
    assert "stylesheet" not in html


def test_what_comes_from_outside_is_escaped() -> None:
    """Nothing of a request reaches a page as HTML."""
    answer = refusal(Reader("en"), "<script>", 403, path='/api/portal/"><script>')
    assert b"<script>" not in answer.body
    assert sign_in_path("/api/portal", Reader("fi", chosen=True)) == (
        "/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Fportal%3Flang%3Dfi"
    )


def test_versions_of_files() -> None:
    """The version changes with the content, and every file on disk is served, no other."""
    on_disk = {path.name for path in (FOLDER / "assets").iterdir()}
    for name in on_disk:
        answer = get(f"assets/{files.version()}/{name}", None)
        assert answer.status == HTTPStatus.OK
        assert answer.body == (FOLDER / "assets" / name).read_bytes()
    html = get("").body.decode()
    assert set(re.findall(r"assets/(\w+)/", html)) == {files.version()}
    assert get(f"assets/{files.version()}/serve.py", None).status == HTTPStatus.NOT_FOUND
    assert EMPLOYEE_ID not in html
