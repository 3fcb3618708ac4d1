"""`{user}` in the URL: who is meant, and what is refused before a request leaves."""

from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.api import answer
from tests.support.served_world import Served

Make = Callable[..., Served]

URL = "https://photo-sync.azurewebsites.net/api/sync/someone"

GOOD_NAMES = [
    "adele@contoso.com",
    "miles.o'brien@contoso.com",
    "''@contoso.com",
    "c#developer@contoso.com",
    "research&development@contoso.com",
    "adele+photos@contoso.com",
    "100%@contoso.com",
    "100%25effort@contoso.com",
    "%41dele@contoso.com",
    "adele_fabrikam.com#EXT#@contoso.onmicrosoft.com",
    "jörg.müller@contoso.com",
    "łukasz@contoso.com",
    "Αλέξανδρος@contoso.com",
    "田中@contoso.com",
    "UPPER.Case@Contoso.com",
    "a!b$c=d^e~f`g{h}@contoso.com",
    "..@contoso.com",
    "-@sub-domain.contoso.co.uk",
    f"{'long' * 16}@{'label' * 9}.contoso.com",
]

BAD_NAMES = [
    "adele",
    "@contoso.com",
    "adele@",
    "adele@contoso",
    "adele@contoso.",
    "adele@.com",
    "adele@contoso..com",
    "adele@con_toso.com",
    "adele@contoso.com@fabrikam.com",
    "adele@contoso.com ",
    " adele@contoso.com",
    "adele vance@contoso.com",
    "adele@contoso.com\r\nX-Injected: 1",
    "adele\t@contoso.com",
    "adele\u00a0vance@contoso.com",
    "adele\u200b@contoso.com",
    "adele\u202e@contoso.com",
    "adele@contoso.com?$select=id",
    "adele\\vance@contoso.com",
    "<adele@contoso.com>",
    '"adele"@contoso.com',
    "adele,megan@contoso.com",
    "adele@contoso.com,megan@contoso.com",
    "users('adele@contoso.com')",
    "i:0#.f|membership|adele@contoso.com",
    "*@contoso.com",
    "me",
    "$count",
    f"{'a' * 250}@contoso.com",
    "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e",
    "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e00",
    "6ea91a8de32e41a1b7bdd2d185eed0e0",
    "{6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0}",
    "6ea91a8g-e32e-41a1-b7bd-d2d185eed0e0",
    "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0;",
    "\uff16ea91a8d-e32e-41a1-b7bd-d2d185eed0e0",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_any_principal_name_works_from_end_to_end(served: Make, name: str) -> None:
    """Through the host's URL, Graph, the files' names, the profile's account, and back."""
    here = served(users=1)
    tenant = here.world.tenant
    person = next(iter(tenant.directory.people))
    tenant.directory.rename(person, name)

    written = here.post(name)

    assert written.json["outcome"] == "updated"
    assert written.json["user"] == {"id": person, "userPrincipalName": name}
    assert tenant.sharepoint.shown_picture(person)
    assert here.get(name).json["user"] == {"id": person, "userPrincipalName": name}
    assert here.post(name).json["outcome"] == "unchanged"


def test_an_object_id_means_the_same_user_in_any_case(served: Make) -> None:
    here = served(users=1)
    person = next(iter(here.world.tenant.directory.people.values()))
    assert here.post(person.id.upper()).json["user"]["id"] == person.id
    by_id, by_name = here.get(person.id.upper()), here.get(person.upn.upper())
    assert by_id.json == by_name.json
    assert by_id.json["user"] == {"id": person.id, "userPrincipalName": person.upn}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_anything_else_is_refused_before_a_request_leaves(served: Make, name: str) -> None:
    """400 with both forms that are accepted; not even a token is asked for."""
    here = served(users=1)
    for reply in (here.get(name), here.post(name)):
        assert (reply.status, reply.type) == (400, "application/problem+json")
        assert reply.json["type"] == "urn:photo-sync:problem:bad-user"
        assert "user principal name" in reply.json["detail"]
        assert "object id" in reply.json["detail"]
    assert here.world.tenant.tape.entries() == []


def test_a_bad_name_is_refused_even_when_the_settings_are_wrong(served: Make) -> None:
    """A wrong name is reported to the caller, also while the settings are wrong."""
    here = served(users=1)
    here.settings(CLOUD="mars")
    assert here.post("nobody").status == 400


def _check(here: Served, method: str, name: str) -> None:
    """Whatever the name: 400 and silence, or one question about exactly this user."""
    tape = here.world.tenant.tape
    tape.clear()
    reply = answer(method, name, URL)
    asked = [entry for entry in tape.entries() if entry.service != "identity"]
    assert reply.status in {400, 404}
    if reply.status == 400:
        assert tape.entries() == []
        return
    for entry in asked:
        assert entry.operation == ("user.photo.batch" if method == "POST" else "users.get")
        # A batch names the same user twice: who that is, and their photo.
        question, *photo = entry.items or (entry.target.removeprefix("/v1.0"),)
        assert parse_qs(urlsplit(question).query) == {"$select": ["id,userPrincipalName"]}
        assert unquote(urlsplit(question).path) == f"/users/{name}"
        assert [unquote(urlsplit(url).path) for url in photo] == (
            [f"/users/{name}/photo"] if method == "POST" else []
        )
    assert "@" in name or len(name) == 36
    assert name.isprintable()
    assert not set(name) & set('/\\?" \t\r\n<>|,;:*()[]')


_fuzz = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_characters = st.one_of(
    st.characters(), st.sampled_from("@@@.'#&+%/\\?$\"; \t\n-_~\u200b\u202e\ud800\U000e0041")
)
_odd = st.text(_characters, min_size=1, max_size=300)
_like_a_name = st.builds("{}@{}.{}".format, _odd, st.text(_characters, max_size=20), _odd)
_nearly_right = st.builds("{}@contoso.com".format, st.text(st.characters(), max_size=12))
_like_an_id = st.text("0123456789abcdefABCDEF-{}", min_size=30, max_size=40)


def test_any_text_is_refused_or_a_valid_question(served: Make) -> None:
    """400 with nothing sent, or 404 after one question that names exactly this user."""
    here = served(users=1)

    @_fuzz
    @given(
        st.sampled_from(["GET", "POST"]), st.one_of(_odd, _like_a_name, _nearly_right, _like_an_id)
    )
    @example("POST", "\0@contoso.com")
    @example("POST", "a/../b@contoso.com")
    @example("POST", "a%2F..%2Fb@contoso.com")
    @example("GET", "\ud800@contoso.com")
    def check(method: str, name: str) -> None:
        _check(here, method, name)

    check()


def test_any_path_is_answered_by_the_host_or_by_us(served: Make) -> None:
    """As bytes on the wire, percent-encoded in any way: no 5xx, no other user."""
    here = served(users=1)

    @_fuzz
    @given(st.binary(min_size=1, max_size=60), st.booleans())
    def check(path: bytes, encode: bool) -> None:
        safe = bytes(c for c in path if 0x21 <= c < 0x7F and c not in b"#?").decode()
        target = "".join(f"%{c:02X}" for c in path) if encode else safe
        reply = here.send("POST", f"/api/sync/{target}x@nowhere.invalid")
        assert reply.status in {400, 404}
        assert here.world.tenant.tape.writes() == []

    check()
