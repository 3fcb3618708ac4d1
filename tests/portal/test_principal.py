"""Whom the portal believes to be calling."""

import base64
import json
from typing import Any

import pytest

from local.host.sign_in import (
    CLIENT_ID,
    OLD_SESSION_SECONDS,
    OTHER_TENANT_ID,
    TENANT_ID,
    Account,
    Dialect,
    accounts,
    principal,
)
from shared.sign_in import Expected, Person, Refusal, read
from shared.sign_in.principal import MAX_CLAIMS, MAX_PRINCIPAL_CHARACTERS, PROBE_ID
from tests.support.portal_core import EMPLOYEE_ID, HELP_DESK_ID, PEOPLE

NOW = 1_795_000_000.0
EXPECTED = Expected(CLIENT_ID, TENANT_ID)
ACCOUNTS = {account.key: account for account in accounts(PEOPLE)}
OUTCOMES: dict[str, Person | Refusal] = {
    "employee": Person(EMPLOYEE_ID, "Adele Vance", help_desk=False),
    "helpdesk": Person(HELP_DESK_ID, "Henrik Desk", help_desk=True),
    "guest": Refusal.GUEST,
    "application": Refusal.APPLICATION,
    "stale": Refusal.STALE,
    "stranger": Refusal.OTHER_TENANT,
}


def headers(encoded: str, **more: str) -> dict[str, str]:
    return {"x-ms-client-principal": encoded, "x-ms-client-principal-idp": "aad", **more}


def encode(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def document(account: Account = ACCOUNTS["helpdesk"]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(principal(account, Dialect.SHORT, NOW)))
    return found


def claims(**changes: str | None) -> str:
    """The help desk's principal with claims changed, added, or (None) taken away."""
    found = document()
    kept = [claim for claim in found["claims"] if claim["typ"] not in changes]
    added = [{"typ": name, "val": value} for name, value in changes.items() if value is not None]
    return encode({**found, "claims": kept + added})


def test_every_account_of_the_sign_in_page_is_in_the_table() -> None:
    """No kind of caller is forgotten."""
    assert OUTCOMES.keys() == ACCOUNTS.keys()


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("key", OUTCOMES)
def test_people(key: str, dialect: Dialect) -> None:
    """Employees and help desk are people in both dialects of claims; everybody else is not."""
    found = read(headers(principal(ACCOUNTS[key], dialect, NOW)), EXPECTED, NOW)
    assert found == OUTCOMES[key]


def test_nobody() -> None:
    """Without the platform's header nobody is signed in."""
    assert read({}, EXPECTED, NOW) is Refusal.NOT_SIGNED_IN
    assert read({"x-ms-client-principal": ""}, EXPECTED, NOW) is Refusal.NOT_SIGNED_IN
    only_names = {"x-ms-client-principal-id": HELP_DESK_ID, "x-ms-client-principal-name": "x"}
    assert read(only_names, EXPECTED, NOW) is Refusal.NOT_SIGNED_IN


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-ZUMO-AUTH"])
def test_tokens_are_not_people(name: str) -> None:
    """A caller that sends a token is no browser, whatever else it sends."""
    encoded = principal(ACCOUNTS["helpdesk"], Dialect.SHORT, NOW)
    assert read(headers(encoded, **{name: "Bearer x"}), EXPECTED, NOW) is Refusal.NO_BROWSER


@pytest.mark.parametrize(
    "encoded",
    [
        "not base64!",
        "====",
        encode([]),
        encode("text"),
        encode({}),
        encode({"auth_typ": "aad"}),
        encode({"auth_typ": "aad", "claims": {}}),
        encode({"auth_typ": "aad", "claims": [None]}),
        encode({"auth_typ": "aad", "claims": [{"typ": "oid", "val": None}]}),
        encode({"auth_typ": "aad", "claims": [{"typ": "oid", "val": 7}]}),
        encode({"auth_typ": "aad", "claims": []}),
        encode({**document(), "auth_typ": "google"}),
        encode({**document(), "auth_typ": None}),
        encode({**document(), "claims": document()["claims"] * (MAX_CLAIMS + 1)}),
        encode({"userId": "x", "userRoles": ["authenticated"], "identityProvider": "aad"}),
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[" * 1900).decode(),
        base64.b64encode(b'{"auth_typ":"google","auth_typ":"aad","claims":[]}').decode(),
        claims(oid=None),
        claims(oid="not-a-guid"),
        claims(oid=HELP_DESK_ID + " "),
        claims(tid=None),
        claims(iat="soon"),
        claims(iat="-5"),
        claims(iat="１７９５００００００"),  # noqa: RUF001 - full-width digits are the point
        claims(iat="9" * 400),
        "A" * (MAX_PRINCIPAL_CHARACTERS + 4),
        principal(ACCOUNTS["helpdesk"], Dialect.SHORT, NOW) + ",eyJ9",
        principal(ACCOUNTS["helpdesk"], Dialect.SHORT, NOW)[:-2] + "ä=",
    ],
)
def test_what_the_platform_does_not_write(encoded: str) -> None:
    """A principal that is not exactly what the platform writes names nobody."""
    assert read(headers(encoded), EXPECTED, NOW) is Refusal.MALFORMED


def test_a_contradiction_names_nobody() -> None:
    """Two object IDs, tenants, or audiences in one principal are no person."""
    for name in ("oid", "tid", "aud", "acct", "iat"):
        found = document()
        found["claims"].append({"typ": name, "val": PEOPLE[0][0]})
        assert read(headers(encode(found)), EXPECTED, NOW) is Refusal.MALFORMED


def test_two_dialects_that_contradict_each_other() -> None:
    """The long name of a claim may not say something else than the short one."""
    found = document()
    long_name = "http://schemas.microsoft.com/identity/claims/objectidentifier"
    found["claims"].append({"typ": long_name, "val": EMPLOYEE_ID})
    assert read(headers(encode(found)), EXPECTED, NOW) is Refusal.MALFORMED


@pytest.mark.parametrize("provider", [None, "", "google", "AAD", "aad,aad"])
def test_another_identity_provider(provider: str | None) -> None:
    """Only Entra ID signs people in."""
    sent = {"x-ms-client-principal": principal(ACCOUNTS["employee"], Dialect.SHORT, NOW)}
    if provider is not None:
        sent["x-ms-client-principal-idp"] = provider
    assert read(sent, EXPECTED, NOW) is Refusal.MALFORMED


def test_tenant_and_audience() -> None:
    """The sign-in must be for this application, by a person of this tenant."""
    assert read(headers(claims(tid=OTHER_TENANT_ID)), EXPECTED, NOW) is Refusal.OTHER_TENANT
    assert read(headers(claims(aud=TENANT_ID)), EXPECTED, NOW) is Refusal.OTHER_APPLICATION
    assert isinstance(read(headers(claims(aud=None)), EXPECTED, NOW), Person)
    assert isinstance(read(headers(claims(tid=TENANT_ID.upper())), EXPECTED, NOW), Person)


def test_applications() -> None:
    """A token of an application is no person, whether it is marked or only has no name."""
    assert read(headers(claims(idtyp="app")), EXPECTED, NOW) is Refusal.APPLICATION
    nameless = claims(name=None, preferred_username=None)
    assert read(headers(nameless), EXPECTED, NOW) is Refusal.APPLICATION


@pytest.mark.parametrize(
    "changes",
    [{"acct": "1"}, {"acct": "2"}, {"acct": None, "preferred_username": "a_b.com#EXT#@c.com"}],
)
def test_guests(changes: dict[str, str | None]) -> None:
    """Guests are refused, also with the role."""
    assert read(headers(claims(**changes)), EXPECTED, NOW) is Refusal.GUEST


@pytest.mark.parametrize("name", ["roles", "role", "custom"])
def test_names_of_the_role_claim(name: str) -> None:
    """The role counts under the short name, and under the name that the principal itself gives."""
    found = document()
    found["role_typ"] = name
    found["claims"] = [c for c in found["claims"] if c["typ"] != "roles"]
    found["claims"].append({"typ": name, "val": "HelpDesk"})
    person = read(headers(encode(found)), EXPECTED, NOW)
    assert isinstance(person, Person)
    assert person.help_desk


@pytest.mark.parametrize("role", ["helpdesk", "HelpDesk ", "HelpDesk,Admin", "Admin", ""])
def test_other_roles(role: str) -> None:
    """Only the exact value of the app role opens the help desk."""
    person = read(headers(claims(roles=role)), EXPECTED, NOW)
    assert isinstance(person, Person)
    assert not person.help_desk


def test_a_name_is_not_a_role() -> None:
    """A person who is called like the role does not hold it."""
    person = read(headers(claims(roles=None, name="HelpDesk")), EXPECTED, NOW)
    assert isinstance(person, Person)
    assert not person.help_desk


@pytest.mark.parametrize(
    ("age", "stale"),
    [(0, False), (8 * 3600, False), (OLD_SESSION_SECONDS, True), (-200, False), (-3600, True)],
)
def test_old_sign_ins(age: int, *, stale: bool) -> None:
    """A role that was taken away is honored for eight hours at most."""
    found = read(headers(claims(iat=str(int(NOW) - age))), EXPECTED, NOW)
    assert (found is Refusal.STALE) is stale


def test_the_probe_is_recognized() -> None:
    """Whoever carries the probe's object ID shows that forged headers get through."""
    assert read(headers(claims(oid=PROBE_ID)), EXPECTED, NOW) is Refusal.FORGED
