"""Trouble that administrators met: other languages, large libraries, holds, moves, missing geos."""

import json
from typing import Any

import pytest

from local.tenant.quirks import Quirks
from tests.local.tenant.sharepoint.in_process import (
    FOLDER,
    Bench,
    body_of,
    claim,
    error_of,
    file_url,
    folder_url,
    profile_url,
)

NAME = "x_MThumb.jpg"
NOT_FOUND = "-1, Microsoft.Office.Server.UserProfiles.UserNotFoundException"


@pytest.mark.parametrize("language", ["de-DE", "ja-JP"])
def test_texts_are_localized_and_codes_are_not(bench: Bench, language: str) -> None:
    """The same code and type with another text, in REST and in ProcessQuery."""
    bench.quirks.unknown_profile = "error"
    english = bench.get(profile_url("nobody@contoso.com"), origin="admin")
    bench.quirks.language = language
    other = bench.get(profile_url("nobody@contoso.com"), origin="admin")
    assert error_of(english) == error_of(other) == (500, NOT_FOUND)
    message = body_of(other)["odata.error"]["message"]
    assert message["lang"] == language
    assert "User Not Found" not in message["value"]


@pytest.mark.parametrize("path", ["/User Photos", "/user photos", "User Photos"])
def test_a_library_over_the_threshold(bench: Bench, path: str) -> None:
    """Its folders are not listed; a folder is found by its path."""
    bench.quirks.folders_over_threshold = True
    code = "-2147024860, Microsoft.SharePoint.SPQueryThrottledException"
    assert error_of(bench.get(f"{folder_url(path)}/Folders?$select=Name")) == (500, code)
    assert body_of(bench.get(f"{folder_url(FOLDER)}?$select=Exists")) == {"Exists": True}
    assert bench.get(f"{folder_url(FOLDER)}/Folders").status == 200


@pytest.mark.parametrize("method", ["recycle", "deleteobject"])
def test_a_file_that_must_be_retained(bench: Bench, method: str) -> None:
    """It cannot be deleted in any way, but it can be written over."""
    bench.upload(NAME)
    stored = bench.sharepoint.library["mysite"].file(f"{FOLDER}/{NAME}")
    stored.retained = True
    assert bench.send("POST", f"{file_url(NAME)}/{method}()").status == 423
    assert bench.send("DELETE", file_url(NAME)).status == 423
    assert bench.upload(NAME, b"other").status == 200
    assert bench.sharepoint.files() == {f"{FOLDER}/{NAME}": b"other"}


def test_a_batch_that_always_fails(bench: Bench) -> None:
    """500, whatever is in it."""
    bench.quirks.batch_fails = True
    assert bench.send("POST", "/_api/$batch", b"x", origin="admin").status == 500


@pytest.mark.parametrize("name", ["PictureURL", "pictureurl", "SPS-PicturePlaceholderState"])
def test_a_picture_that_may_not_be_edited(bench: Bench, name: str) -> None:
    """Only the properties of the picture are refused."""
    bench.quirks.picture_editable = False
    code = "-1, Microsoft.Office.Server.UserProfiles.PropertyNotEditableException"
    assert error_of(bench.set("anna@contoso.com", name, "0")) == (500, code)
    assert bench.set("anna@contoso.com", "Office", "1").status == 200


def test_a_user_who_moves_to_another_geo() -> None:
    """The profile names the new host, takes its values along, and shows no file of the old one."""
    bench = Bench()
    anna = bench.add("anna@contoso.com", existing="id-prefix")
    assert bench.sharepoint.shown_picture(anna.id)
    before = bench.sharepoint.profile(anna.id)["PictureURL"]
    bench.directory.move(anna.id, "EUR")
    assert bench.sharepoint.shown_picture(anna.id) is None
    assert bench.sharepoint.profile(anna.id)["PictureURL"] == before
    for origin in ("admin", "admin2"):
        found = body_of(bench.get(profile_url(anna.upn), origin=origin))
        assert found["PersonalSiteHostUrl"] == "http://mysite2.test/"
    new = before.replace("mysite.test", "mysite2.test")
    bench.set(anna.upn, "PictureURL", new, origin="admin2")
    assert bench.sharepoint.profile(anna.id)["PictureURL"] == new
    bench.directory.move(anna.id, "")
    assert bench.sharepoint.profile(anna.id)["PictureURL"] == before


def test_a_satellite_without_a_library() -> None:
    """Only the second geo has none."""
    bench = Bench(quirks=Quirks(second_geo_library=False, missing_folder="404"))
    assert bench.get(folder_url(), origin="mysite").status == 200
    assert bench.get(folder_url(), origin="mysite2").status == 404


def test_an_error_in_a_query_is_localized(bench: Bench) -> None:
    """ErrorInfo carries the number, the type and the localized text."""
    bench.quirks.language = "de-DE"
    query: Any = (
        '<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" '
        'LibraryVersion="16.0.0.0" ApplicationName="x" '
        'xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009">'
        '<Actions><ObjectPath Id="2" ObjectPathId="1"/>'
        '<Method Name="SetSingleValueProfileProperty" Id="3" ObjectPathId="1"><Parameters>'
        f'<Parameter Type="String">{claim("nobody@contoso.com")}</Parameter>'
        '<Parameter Type="String">PictureURL</Parameter><Parameter Type="String">x</Parameter>'
        "</Parameters></Method></Actions><ObjectPaths>"
        '<Constructor Id="1" TypeId="{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"/>'
        "</ObjectPaths></Request>"
    )
    answer = bench.send(
        "POST",
        "/_vti_bin/client.svc/ProcessQuery",
        query.encode(),
        origin="admin",
        content_type="text/xml",
    )
    info = json.loads(answer.body)[0]["ErrorInfo"]
    assert (info["ErrorCode"], info["ErrorTypeName"]) == (-1, NOT_FOUND.partition(", ")[2])
    assert info["ErrorMessage"].startswith("Benutzerprofilfehler")
