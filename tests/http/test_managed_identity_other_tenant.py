import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.support.clock import VirtualClock
from shared.config.settings import load
from shared.errors import TokenUnavailable
from shared.http import ManagedIdentity
from tests.support.identity_endpoints import Login, Platform, certified, jwt, serving

GRAPH = "https://graph.microsoft.com"
IDENTITY = "0f8fad5b-d9cb-469f-a165-70867728950e"
TENANT = "11111111-1111-1111-1111-111111111111"
APP = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    stub = Platform()
    with serving(stub.answer) as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        monkeypatch.delenv("IDENTITY_SERVER_THUMBPRINT", raising=False)
        yield stub


@pytest.fixture
def login(tmp_path: Path) -> Iterator[Login]:
    stub = Login()
    tls, stub.certificate = certified(tmp_path)
    with serving(stub.answer, tls) as stub.url:
        yield stub


def identity(login: Login, clock: VirtualClock, cloud: str = "global") -> ManagedIdentity:
    settings = load(
        {
            "SHAREPOINT_TENANT": "contoso",
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "CLOUD": cloud,
            "LOGIN_URL": login.url,
            "MANAGED_IDENTITY_CLIENT_ID": IDENTITY,
            "TARGET_TENANT_ID": TENANT,
            "TARGET_CLIENT_ID": APP,
        }
    )
    session = requests.Session()
    session.verify = login.certificate
    return ManagedIdentity(settings, session=session, clock=clock)


@pytest.mark.parametrize(
    ("cloud", "audience"),
    [
        ("global", "api://AzureADTokenExchange"),
        ("usgov", "api://AzureADTokenExchangeUSGov"),
        ("china", "api://AzureADTokenExchangeChina"),
    ],
)
def test_exchange(platform: Platform, login: Login, cloud: str, audience: str) -> None:
    """The identity's token for the cloud's audience is the proof; the target tenant's counts."""
    me = identity(login, VirtualClock(), cloud)

    token = me.token("https://contoso-my.sharepoint.com")

    assert me.claims("https://contoso-my.sharepoint.com")["tid"] == TENANT
    assert platform.asked == [
        {"api-version": "2019-08-01", "resource": audience, "client_id": IDENTITY}
    ]
    ((path, form),) = login.asked
    assert path == f"/{TENANT}/oauth2/v2.0/token"
    assert token == jwt(tid=TENANT, scope="https://contoso-my.sharepoint.com/.default", n=1)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    proof = jwt(aud=audience, appid=IDENTITY, n=1)
    assert (
        form.items()
        >= {
            "grant_type": "client_credentials",
            "client_id": APP,
            "scope": "https://contoso-my.sharepoint.com/.default",
            "client_assertion_type": kind,
            "client_assertion": proof,
        }.items()
    )


def test_kept_and_forgotten(platform: Platform, login: Login) -> None:
    """The exchanged token is kept until shortly before its hour ends, or until it is refused."""
    clock = VirtualClock()
    me = identity(login, clock)
    first = me.token(GRAPH)

    clock.advance(3000)
    assert me.token(GRAPH) == first
    clock.advance(400)
    second = me.token(GRAPH)
    assert second != first
    me.forget(GRAPH)
    assert me.token(GRAPH) != second
    assert len(platform.asked) == len(login.asked) == 3


def test_trusted_certificates_by_environment(
    platform: Platform, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a session of its own it trusts what REQUESTS_CA_BUNDLE says."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", login.certificate)
    with_session = identity(login, VirtualClock())

    assert ManagedIdentity(with_session._settings, clock=VirtualClock()).token(GRAPH)
    assert len(platform.asked) == 1


@pytest.mark.parametrize(
    ("status", "text", "shown"),
    [
        (400, '{"error":"invalid_client","error_description":"AADSTS700213: no record"}', "700213"),
        (401, '{"error":"unauthorized_client"}', "unauthorized_client"),
        (500, "<html>", ""),
        (200, "[]", ""),
        (200, '{"access_token":"eyJ0.eyJ0.x"}', ""),
        (429, '{"error":"slow down"}', ""),
    ],
)
def test_refused(platform: Platform, login: Login, status: int, text: str, shown: str) -> None:
    """One error names application, tenant and the federated credential, and shows no token."""
    login.answers = [(status, text)] * 3
    clock = VirtualClock()

    with pytest.raises(TokenUnavailable) as caught:
        identity(login, clock).token(GRAPH)

    message = str(caught.value)
    for part in (GRAPH, APP, TENANT, "federated credential", "api://AzureADTokenExchange", shown):
        assert part in message
    assert "eyJ0" not in message
    assert clock.monotonic() <= 5
    assert len(platform.asked) == 1


def test_no_redirect(platform: Platform, login: Login) -> None:
    """The proof goes to the login authority only, wherever that wants to send it."""
    login.answers = [(307, f"{login.url}/thief/token")] * 3

    with pytest.raises(TokenUnavailable):
        identity(login, VirtualClock()).token(GRAPH)

    assert {path for path, _ in login.asked} == {f"/{TENANT}/oauth2/v2.0/token"}
    assert len(platform.asked) == 1


def test_passing_fault(platform: Platform, login: Login) -> None:
    """A fault of the login authority that passes is survived, and not replayed from memory."""
    login.answers = [(503, "busy"), (400, json.dumps({"error": "temporarily_unavailable"}))]
    begun = time.monotonic()

    assert identity(login, VirtualClock()).token(GRAPH)
    assert len(login.asked) == 3
    assert len(platform.asked) == 1
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("text", ["x" * 2_000_000, "[" * 100_000])
def test_a_hostile_answer(login: Login, text: str) -> None:
    """An answer of any size or depth is the same error, and costs little."""
    login.answers = [(200, text)] * 3

    with pytest.raises(TokenUnavailable, match="federated credential"):
        identity(login, VirtualClock()).token(GRAPH)


def test_no_proof(platform: Platform, login: Login) -> None:
    """Without the identity's own token the login authority is not asked, and the error says so."""
    platform.answers = [(400, '{"statusCode":400,"message":"unknown identity"}')] * 3

    with pytest.raises(TokenUnavailable, match="unknown identity") as caught:
        identity(login, VirtualClock()).token(GRAPH)

    assert IDENTITY in str(caught.value)
    assert login.asked == []


def test_untrusted_login(platform: Platform, login: Login) -> None:
    """A login authority whose certificate is not trusted never sees the proof."""
    me = identity(login, VirtualClock())
    me._session.verify = True

    with pytest.raises(TokenUnavailable, match="certificate"):
        me.token(GRAPH)
    assert login.asked == []
    assert len(platform.asked) == 1
