"""Managed-identity endpoint, tokens, and the authority of another tenant."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import msal
import pytest
import requests
from azure.identity import ManagedIdentityCredential

from local.tenant import Quirks, Tenant
from local.tenant.http import Request
from local.tenant.identity.tokens import Refused

FIC = "api://AzureADTokenExchange"
Ask = Callable[..., requests.Response]


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return read


def test_answer(tenant: Tenant, token: Ask) -> None:
    """The answer is App Service's: `expires_on` in seconds as a string, no `expires_in`."""
    answer = token(tenant.url("graph"))
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert isinstance(body["expires_on"], str)
    assert 0 < int(body["expires_on"]) - time.time() <= 86_400
    assert body["resource"] == tenant.url("graph")
    assert body["token_type"] == "Bearer"


def test_claims_belong_to_the_audience(tenant: Tenant, token: Ask) -> None:
    """A token carries the roles of its own resource only."""
    graph = claims(token(tenant.url("graph")).json()["access_token"])
    site = claims(token(tenant.url("mysite")).json()["access_token"])
    storage = claims(token("https://storage.azure.com/").json()["access_token"])
    assert set(graph["roles"]) == tenant.roles["graph"]
    assert set(site["roles"]) == tenant.roles["sharepoint"]
    assert storage["roles"] == []
    assert storage["aud"] == "https://storage.azure.com"
    assert storage["iss"].startswith("https://sts.windows.net/")
    assert storage["nbf"] <= time.time() < storage["exp"]


@pytest.mark.parametrize(
    ("change", "header", "status"),
    [
        ({}, True, 200),
        ({}, False, 401),
        ({"api-version": "2017-09-01"}, True, 400),
        ({"api-version": None}, True, 400),
        ({"resource": None}, True, 400),
        ({"resource": "https://example.com"}, True, 500),
        ({"client_id": "USER"}, True, 200),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, True, 400),
        ({"client_id": "USER", "principal_id": "USER"}, True, 400),
    ],
)
def test_requests(tenant: Tenant, change: dict[str, str | None], header: bool, status: int) -> None:
    """Header, version, resource and selector are all checked."""
    settings = tenant.settings()
    params = {"api-version": "2019-08-01", "resource": tenant.url("graph")} | {
        name: tenant.user_identity.client_id if value == "USER" else value
        for name, value in change.items()
    }
    headers = {"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]} if header else {}
    url = settings["IDENTITY_ENDPOINT"]
    answer = requests.get(url, params=params, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["statusCode"] == status
        assert answer.json()["message"]


def test_azure_identity_works(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity takes tokens from it, as it does on Functions, for either identity."""
    for name, value in tenant.settings().items():
        if name.startswith("IDENTITY"):
            monkeypatch.setenv(name, value)
    scope = f"{tenant.url('mysite')}/.default"
    for client_id in (None, tenant.user_identity.client_id):
        with ManagedIdentityCredential(client_id=client_id) as credential:
            found = credential.get_token(scope)
        assert claims(found.token)["aud"] == tenant.url("mysite")
        if client_id:
            assert claims(found.token)["appid"] == client_id


def test_platform_cache(make_tenant: Callable[..., Tenant]) -> None:
    """With the platform's cache a newly granted role is not in the token yet."""
    tenant = make_tenant(users=1, quirks=Quirks(identity_cache_seconds=3600))
    settings = tenant.settings()

    def roles() -> set[str]:
        answer = requests.get(
            settings["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": tenant.url("graph")},
            headers={"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]},
            timeout=10,
        )
        return set(claims(answer.json()["access_token"])["roles"])

    before = roles()
    tenant.roles["graph"].add("Sites.Read.All")
    assert roles() == before
    tenant.quirks.identity_cache_seconds = 0
    assert roles() == before | {"Sites.Read.All"}


def bearer(token: str) -> Request:
    return Request("GET", "graph", "/", {"authorization": f"Bearer {token}"}, b"")


def test_checked_tokens(tenant: Tenant) -> None:
    """A token that is missing, altered, expired, early, revoked or for another host is refused."""
    tokens, audience = tenant.tokens, tenant.url("graph")
    good = tokens.mint(audience, "app", "oid")
    assert tokens.check(bearer(good), [audience]).roles == tenant.roles["graph"]
    head, body, signature = good.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims(good) | {"roles": ["All"]}).encode())
    bad = {
        "": "empty",
        "nonsense": "signature",
        f"{head}.{body}.{signature[:-3]}AAA": "signature",
        f"{head}.{forged.decode().rstrip('=')}.{signature}": "signature",
        tokens.mint(audience, "app", "oid", exp=time.time() - 1): "expired",
        tokens.mint(audience, "app", "oid", nbf=time.time() + 60): "not yet valid",
        tokens.mint(tenant.url("mysite"), "app", "oid"): "audience",
    }
    for token, why in bad.items():
        with pytest.raises(Refused, match=why):
            tokens.check(bearer(token), [audience])
    tokens.revoke()
    with pytest.raises(Refused, match="expired"):
        tokens.check(bearer(good), [audience])
    tokens.check(bearer(tokens.mint(audience, "app", "oid")), [audience])


def test_graph_refuses_tokens_of_other_services(graph: Any, tenant: Tenant) -> None:
    """A SharePoint token, and none, are 401 at Graph with Graph's error."""
    for value in ("", f"Bearer {tenant.tokens.mint(tenant.url('mysite'), 'app', 'oid')}"):
        answer = graph.get(f"{graph.root}/users", headers={"Authorization": value})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def other_tenant(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Ask msal for a Graph token with the managed identity as federated credential."""
    user = tenant.user_identity
    values = {
        "audience": FIC,
        "client_id": tenant.app_client_id,
        "subject": user.object_id,
        "scope": f"{tenant.url('graph')}/.default",
    } | changes
    with requests.Session() as session:
        session.trust_env = False  # a CA bundle named in the environment would win
        session.verify = str(tenant.certificate)
        app = msal.ConfidentialClientApplication(
            values["client_id"],
            authority=f"{tenant.url('login')}/{tenant.tokens.tenant_id}",
            client_credential={
                "client_assertion": lambda: tenant.tokens.mint(
                    values["audience"], user.client_id, values["subject"]
                )
            },
            instance_discovery=False,
            http_client=session,
        )
        found: dict[str, Any] = app.acquire_token_for_client(scopes=[values["scope"]])
    return found


def test_federated_credential(tenant: Tenant) -> None:
    """Msal exchanges a managed-identity token for one of the app, over HTTPS."""
    found = other_tenant(tenant)
    got = claims(found["access_token"])
    assert got["aud"] == tenant.url("graph")
    assert got["appid"] == tenant.app_client_id
    assert set(got["roles"]) == tenant.roles["graph"]


@pytest.mark.parametrize(
    ("changes", "error", "number"),
    [
        ({"audience": "GRAPH"}, "invalid_client", "AADSTS700212"),
        ({"subject": "00000000-0000-4000-8000-000000000000"}, "invalid_client", "AADSTS700213"),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, "unauthorized", "AADSTS700016"),
        ({"scope": "https://example.com/.default"}, "invalid_scope", "AADSTS500011"),
    ],
)
def test_refused_exchange(tenant: Tenant, changes: dict[str, str], error: str, number: str) -> None:
    """Wrong audience, subject, app or scope fail at the exchange, each with its own number."""
    if changes.get("audience") == "GRAPH":
        changes = {"audience": tenant.url("graph")}
    found = other_tenant(tenant, **changes)
    assert found["error"].startswith(error)
    assert number in found["error_description"]


def test_login_is_https_only(tenant: Tenant) -> None:
    """The authority's certificate is for 127.0.0.1 and self-signed."""
    url = f"{tenant.url('login')}/{tenant.tokens.tenant_id}/v2.0/.well-known/openid-configuration"
    found = requests.get(url, verify=str(tenant.certificate), timeout=10).json()
    assert found["token_endpoint"].startswith(tenant.url("login"))
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url, timeout=10)
