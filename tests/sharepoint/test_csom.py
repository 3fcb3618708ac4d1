"""The ProcessQuery that writes, and the answers that say 200 whatever happened."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    AccessDenied,
    Evidence,
    MalformedResponse,
    PhotoSyncError,
    ProfileMissing,
    RequestRejected,
)
from shared.http import Response
from shared.sharepoint.csom import check, set_properties

ASKED = Evidence("sharepoint", "POST", "https://admin.example/_vti_bin/client.svc/ProcessQuery")
NS = {"q": "http://schemas.microsoft.com/sharepoint/clientquery/2009"}
ODD = 'i:0#.f|membership|o\'b&r<i>"e"n%41+ü\U0001f600]]>@contoso.com'
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def reply(value: Any) -> Response:
    return Response(200, {}, b"", ASKED, value)


def head(**info: Any) -> list[Any]:
    return [{"SchemaVersion": "15.0.0.0", "ErrorInfo": info, "TraceCorrelationId": "t"}]


def test_the_query() -> None:
    """One object, the sets in order, every parameter a text that arrives unchanged."""
    body = set_properties(ODD, [("PictureURL", "https://x/a%20b?c&d"), ("State", "")])
    root = ET.fromstring(body)  # noqa: S314 - our own
    methods = root.findall("q:Actions/q:Method", NS)
    assert [
        [parameter.text or "" for parameter in method.iter() if parameter.get("Type") == "String"]
        for method in methods
    ] == [[ODD, "PictureURL", "https://x/a%20b?c&d"], [ODD, "State", ""]]
    assert {method.get("Name") for method in methods} == {"SetSingleValueProfileProperty"}
    ids = [element.get("Id") for element in root.iter() if element.get("Id")]
    assert len(set(ids)) == len(ids)
    constructor = root.find("q:ObjectPaths/q:Constructor", NS)
    assert constructor is not None
    assert constructor.get("TypeId") == "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"
    assert all(method.get("ObjectPathId") == constructor.get("Id") for method in methods)


@given(st.text())
def test_any_text_arrives_or_is_refused(text: str) -> None:
    """A value arrives as it is; what XML cannot hold is refused before anything is sent."""
    try:
        body = set_properties(text, [("n", text)])
    except ValueError:
        assert any(not c.isprintable() for c in text)
        return
    root = ET.fromstring(body)  # noqa: S314 - our own
    texts = [e.text or "" for e in root.iter() if e.get("Type") == "String"]
    assert texts == [text, "n", text]


@pytest.mark.parametrize(
    "value",
    [
        [{"ErrorInfo": None}, 2, {"IsNull": False}],
        [{"ErrorInfo": None, "LibraryVersion": "16.0.1"}],
    ],
)
def test_success(value: object) -> None:
    """No ErrorInfo: done."""
    check(reply(value))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (
            head(
                ErrorCode=-2147024891,
                ErrorTypeName="System.UnauthorizedAccessException",
                ErrorMessage="Access denied. You do not have permission to perform this action.",
            ),
            AccessDenied,
        ),
        (
            head(ErrorCode=-2147024891, ErrorTypeName="", ErrorMessage="Zugriff verweigert"),
            AccessDenied,
        ),
        (head(ErrorCode="-2147024891", ErrorMessage=None), AccessDenied),
        (head(ErrorCode=-1, ErrorTypeName="ServerUnauthorizedAccessException"), AccessDenied),
        (
            head(
                ErrorCode=-1,
                ErrorTypeName="Microsoft.SharePoint.Client.ServerException",
                ErrorMessage="This operation requires you to be managing your own data or have "
                "administrator privileges.",
            ),
            AccessDenied,
        ),
        (
            head(
                ErrorCode=-1,
                ErrorMessage="Access Denied: This application does not have the required "
                "permissions to access profile information.",
            ),
            AccessDenied,
        ),
        (
            head(
                ErrorCode=-1,
                ErrorTypeName="Microsoft.Office.Server.UserProfiles.UserNotFoundException",
                ErrorMessage="User Profile Error 1000: User Not Found: Could not load profile data "
                "from the database.",
            ),
            ProfileMissing,
        ),
        (head(ErrorCode=-2130575306, ErrorMessage="checked out"), RequestRejected),
        (head(), RequestRejected),
        ([{"ErrorInfo": "odd"}], MalformedResponse),
        ([{"ErrorInfo": 0}], MalformedResponse),
        ([{}], MalformedResponse),
        ([], MalformedResponse),
        ([None], MalformedResponse),
        ({}, MalformedResponse),
        (None, MalformedResponse),
        ("ok", MalformedResponse),
    ],
)
def test_200_is_no_success(value: object, error: type[PhotoSyncError]) -> None:
    """The first element decides; codes and types before texts, which are localised."""
    with pytest.raises(error):
        check(reply(value))


def test_the_error_carries_the_evidence() -> None:
    """Code, type and text of SharePoint are in the message."""
    info = head(ErrorCode=-7, ErrorTypeName="X.Y", ErrorMessage="no\nway")
    with pytest.raises(RequestRejected, match=r"-7, X\.Y \(no way\)"):
        check(reply(info))


@given(JSON)
def test_any_answer(value: Any) -> None:
    """Any JSON is a success or one of the program's errors."""
    for shape in (
        value,
        [value],
        [{"ErrorInfo": value}],
        head(ErrorCode=value, ErrorTypeName=value, ErrorMessage=value),
    ):
        try:
            check(reply(shape))
        except PhotoSyncError:
            continue
        assert shape[0]["ErrorInfo"] is None
