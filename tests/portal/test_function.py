"""The function itself, and the request by which it asks itself."""

import azure.functions as func
import pytest

from local.host import HttpAnswer, Request
from local.host.http_server import Server
from Portal import main
from shared.sign_in.proof import get
from tests.support.portal_site import ENVIRONMENT


def call(**headers: str) -> func.HttpResponse:
    return main(
        func.HttpRequest("GET", "https://app.example/api/portal", headers=headers, body=b"")
    )


def test_without_a_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that sets no PORTAL_CLIENT_ID has no portal, as before."""
    monkeypatch.delenv("PORTAL_CLIENT_ID", raising=False)
    answer = call()
    assert (answer.status_code, answer.get_body()) == (404, b"")


def test_what_the_host_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, type with its charset once, and headers of an answer, through Microsoft's library."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    answer = call()
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/.auth/login/aad?")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "False")
    answer = call(**{"Accept-Language": "sv"})
    assert answer.status_code == 503
    assert (answer.mimetype, answer.charset) == ("text/html", "utf-8")
    assert 'lang="sv"' in answer.get_body().decode()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_probe_follows_nothing() -> None:
    """It reads a status and nothing else: no redirect, no body, no cookie of ours."""
    seen: list[tuple[str, str | None]] = []

    def answer(request: Request) -> HttpAnswer:
        seen.append((request.path, request.headers.get("x-ms-client-principal")))
        return HttpAnswer(302, {"Location": "/elsewhere"}, b"x" * 100_000)

    server = Server(answer, 0)
    server.start()
    try:
        assert get(f"{server.url}/x", {"X-MS-CLIENT-PRINCIPAL": "e30="}, 5.0) == 302
    finally:
        server.stop()
    assert seen == [("/x", "e30=")]
    with pytest.raises(OSError, match=r"refused|Connection"):
        get(f"{server.url}/x", {}, 5.0)
