"""Reading and writing user profiles over REST."""

import pytest

from tests.local.tenant.sharepoint.in_process import (
    PROFILES,
    Bench,
    body_of,
    claim,
    error_of,
    literal,
    profile_url,
)

ANNA = "anna@contoso.com"
URL = "http://mysite.test/User%20Photos/Profile%20Pictures/x_MThumb.jpg"


def values_of(bench: Bench, upn: str, origin: str = "admin") -> dict[str, str]:
    found = body_of(bench.get(profile_url(upn), origin=origin))
    return {pair["Key"]: pair["Value"] for pair in found["UserProfileProperties"]}


def test_profile_carries_object_id_and_my_site_host(bench: Bench) -> None:
    """A client finds the user's Entra id and My Site host in the profile, values as strings."""
    answer = bench.get(profile_url(ANNA), origin="admin")
    found = body_of(answer)
    assert answer.status == 200
    assert found["AccountName"] == "i:0#.f|membership|anna@contoso.com"
    assert found["PersonalSiteHostUrl"] == "http://mysite.test/"
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert values_of(bench, ANNA)["msOnline-ObjectId"] == anna.id
    assert {pair["ValueType"] for pair in found["UserProfileProperties"]} == {"Edm.String"}
    assert answer.headers["Content-Type"].startswith("application/json;odata=nometadata")
    assert answer.headers["SPRequestGuid"]


@pytest.mark.parametrize(
    "upn",
    [
        "o'neil+x&y@contoso.com",
        "jane_fabrikam.com#EXT#@contoso.onmicrosoft.com",
        "100%@contoso.com",
        "zoë.müller@contoso.com",
        "ANNA2@CONTOSO.COM",
    ],
)
def test_every_name_is_found_when_it_is_escaped(bench: Bench, upn: str) -> None:
    """Quotes doubled and everything percent-encoded: any account name works, in lower case."""
    if bench.directory.by_upn(upn) is None:
        bench.add(upn)
    answer = bench.get(profile_url(upn), origin="admin")
    assert body_of(answer)["AccountName"] == claim(upn.lower())


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{PROFILES}/GetPropertiesFor(accountName=@v)?@v='i:0#.f|membership|{ANNA}'", 400),
        (f"{PROFILES}/GetPropertiesFor(accountName=@v)?@v='o'neil'", 400),
        (f"{PROFILES}/GetPropertiesFor(accountName=@v)?@v=anna", 400),
        (f"{PROFILES}/GetPropertiesFor(accountName=@v)", 400),
        (f"{PROFILES}/GetPropertiesFor(accountName=@v)?@v='100%@contoso.com'", 400),
        (f"{PROFILES}/GetPropertiesFor(accountName='m\u00fcller')", 400),
        (f"{PROFILES}/GetPropertiesFor(user='x')", 400),
        (f"{PROFILES}/GetPropertiesFor()", 400),
        (f"{PROFILES}/GetPropertiesFor(accountName='x'", 400),
        (profile_url(ANNA, "AccountName,Picture"), 400),
        (f"{profile_url(ANNA)}&$magic=1", 400),
        (f"{PROFILES}/GetPropertiesOf(accountName='x')", 404),
        (f"{PROFILES}", 404),
        ("/_api/nothing", 404),
        (f"/sites/hr{profile_url(ANNA)}", 404),
        ("/index.html", 404),
    ],
)
def test_what_is_wrong_is_refused(bench: Bench, target: str, status: int) -> None:
    """Unescaped names, unknown parameters, fields, options and endpoints are errors."""
    assert bench.get(target, origin="admin").status == status


def test_plus_in_a_query_is_a_space(bench: Bench) -> None:
    """An unescaped plus sign in an alias means a space, so the person is not found."""
    alias = "%27i%3A0%23.f%7Cmembership%7Co%27%27neil+x%26y%40contoso.com%27"
    target = f"{PROFILES}/GetPropertiesFor(accountName=@v)?@v={alias}"
    assert body_of(bench.get(target, origin="admin")) == {"odata.null": True}


def test_select_reduces_the_answer(bench: Bench) -> None:
    """`$select` returns the named fields only, in any case."""
    answer = bench.get(profile_url(ANNA, "AccountName,pictureurl"), origin="admin")
    assert set(body_of(answer)) == {"AccountName", "PictureUrl"}


def test_unknown_person_reads_as_null_or_error(bench: Bench) -> None:
    """A missing profile is `odata.null`, or by quirk the error 1000; never an empty profile."""
    bench.add("nobody@contoso.com", has_profile=False)
    for upn in ("nobody@contoso.com", "stranger@contoso.com"):
        assert body_of(bench.get(profile_url(upn))) == {"odata.null": True}
        bench.quirks.unknown_profile = "error"
        answer = bench.get(profile_url(upn))
        assert error_of(answer)[0] == 500
        assert "User Profile Error 1000" in body_of(answer)["odata.error"]["message"]["value"]
        bench.quirks.unknown_profile = "odata.null"


def test_set_value_is_read_back_in_any_case(bench: Bench) -> None:
    """A property is written and read under its name in any case, as a string."""
    answer = bench.set(ANNA, "pictureurl", URL)
    assert (answer.status, body_of(answer)) == (200, {"odata.null": True})
    assert values_of(bench, ANNA)["PictureURL"] == URL
    for method in ("GET", "POST"):
        single = bench.send(
            method,
            f"{PROFILES}/GetUserProfilePropertyFor(accountName=@v,propertyName='PICTUREURL')"
            f"?@v={literal(claim(ANNA))}",
        )
        assert body_of(single) == {"value": URL}


def test_picture_url_follows_from_stored_properties(bench: Bench) -> None:
    """`PictureUrl` is null under the placeholder, else the stored URL with its time stamp."""
    bench.set(ANNA, "PictureURL", URL)
    bench.set(ANNA, "SPS-PicturePlaceholderState", "1")
    bench.set(ANNA, "SPS-PictureTimestamp", "63783110969")
    assert body_of(bench.get(profile_url(ANNA)))["PictureUrl"] is None
    bench.set(ANNA, "SPS-PicturePlaceholderState", "0")
    assert body_of(bench.get(profile_url(ANNA)))["PictureUrl"] == f"{URL}?t=63783110969"
    bench.set(ANNA, "PictureURL", "")
    assert body_of(bench.get(profile_url(ANNA)))["PictureUrl"] is None


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("PictureAddress", URL, 500),
        ("msOnline-ObjectId", "x", 500),
        ("SPS-PicturePlaceholderState", "yes", 500),
        ("PictureURL", "x" * 2049, 500),
        ("SPS-PictureTimestamp", 63783110969, 400),
        ("SPS-PicturePlaceholderState", None, 400),
    ],
)
def test_bad_property_is_refused(bench: Bench, name: str, value: object, status: int) -> None:
    """Unknown and read-only properties, and values of a wrong type, change nothing."""
    before = values_of(bench, ANNA)
    assert bench.set(ANNA, name, value).status == status
    assert values_of(bench, ANNA) == before


def test_writing_to_a_missing_profile_is_an_error(bench: Bench) -> None:
    """Writes to somebody without profile fail with User Not Found, whatever reading answers."""
    answer = bench.set("stranger@contoso.com", "PictureURL", URL)
    assert answer.status == 500
    assert "1000" in body_of(answer)["odata.error"]["message"]["value"]


def test_set_needs_post_and_a_json_object_with_known_names(bench: Bench) -> None:
    """The write endpoint refuses GET, other content types, broken JSON and unknown names."""
    target = f"{PROFILES}/SetSingleValueProfileProperty"
    assert bench.get(target).status == 405
    assert bench.send("POST", target, b"a=b").status == 400
    assert bench.send("POST", target, b"{", content_type="application/json").status == 400
    document = {"accountName": claim(ANNA), "propertyName": "Title", "propertyValue": "x"}
    assert bench.send("POST", target, document | {"more": "1"}).status == 400
    assert bench.send("POST", target, [document]).status == 400
    assert values_of(bench, ANNA)["Title"] == ""
    assert bench.send("POST", target, document).status == 200


def test_profile_follows_a_rename_and_ends_with_the_person(bench: Bench) -> None:
    """A renamed person keeps the profile under the new name; a deleted one loses it."""
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    bench.set(ANNA, "PictureURL", URL)
    bench.directory.rename(anna.id, "anne@contoso.com")
    assert body_of(bench.get(profile_url(ANNA))) == {"odata.null": True}
    assert values_of(bench, "anne@contoso.com")["PictureURL"] == URL
    bench.directory.remove(anna.id)
    assert body_of(bench.get(profile_url("anne@contoso.com"))) == {"odata.null": True}
    bench.directory.add(anna)
    assert values_of(bench, "anne@contoso.com")["PictureURL"] == ""


def test_other_geo_shows_its_host_and_ignores_foreign_writes(bench: Bench) -> None:
    """A person of the second geo names their host everywhere; only their own admin site counts."""
    eve = bench.add("eve@contoso.com", geo="EUR")
    found = body_of(bench.get(profile_url(eve.upn), origin="admin"))
    assert found["PersonalSiteHostUrl"] == "http://mysite2.test/"
    bench.set(eve.upn, "PictureURL", URL, origin="admin")
    assert values_of(bench, eve.upn, "admin2")["PictureURL"] == ""
    assert bench.sharepoint.profile(eve.id)["PictureURL"] == ""
    bench.set(eve.upn, "PictureURL", URL, origin="admin2")
    assert bench.sharepoint.profile(eve.id)["PictureURL"] == URL


def test_verbose_and_minimal_forms(bench: Bench) -> None:
    """The Accept header decides the form; without JSON in it, the answer is XML."""
    verbose = body_of(bench.get(profile_url(ANNA), accept="application/json;odata=verbose"))["d"]
    assert verbose["__metadata"]["type"] == "SP.UserProfiles.PersonProperties"
    assert verbose["UserProfileProperties"]["results"][0]["Key"]
    minimal = body_of(bench.get(profile_url(ANNA), accept="application/json"))
    assert "odata.metadata" in minimal
    assert bench.get(profile_url(ANNA), accept="*/*").body.startswith(b"<")
    failed = bench.get("/_api/nothing", accept="application/json;odata=verbose")
    assert body_of(failed)["error"]["message"]["lang"] == "en-US"
