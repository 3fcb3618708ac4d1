"""What the items of a Graph batch say of photos; not knowing is never "no photo"."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    AccessDenied,
    Evidence,
    MalformedResponse,
    NotFound,
    RequestRejected,
    Unavailable,
    UserUnknown,
)
from shared.graph import BATCH_SIZE, NoPhoto, Unknown, Version
from shared.graph.json_batch import Item, ItemRequest, build, items
from shared.graph.photo_versions import read
from shared.http.response import Response

ASKED = Evidence("graph", "GET", "https://graph.example/v1.0/users/1/photo")
PHOTO = {
    "@odata.mediaContentType": "image/jpeg",
    "@odata.mediaEtag": '"BA09D118"',
    "id": "default",
    "width": 256,
    "height": 256,
}
TINY = {"@odata.mediaContentType": "image/gif", "@odata.mediaEtag": "", "width": 1, "height": 1}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def failed(code: str, message: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (PHOTO, Version('"BA09D118"')),
        (PHOTO | {"id": "240X240"}, Version('"BA09D118"')),
        ({"@odata.mediaEtag": 'W/"x"'}, Version('W/"x"')),
        (PHOTO | {"@odata.mediaEtag": ""}, Version("")),
        (PHOTO | {"@odata.mediaEtag": None}, Version("")),
        (PHOTO | {"@odata.mediaEtag": ["odd"]}, Version("")),
        ({}, Version("")),
        (TINY, NoPhoto()),
        (TINY | {"id": "1x1"}, NoPhoto()),
        ({"id": "1X1", "@odata.mediaEtag": ""}, NoPhoto()),
        # A real photo of one pixel has an etag; its bytes decide.
        (TINY | {"@odata.mediaEtag": '"A"'}, Version('"A"')),
        (TINY | {"id": ["odd"], "width": {}}, Version("")),
    ],
)
def test_a_photo_or_its_placeholder(body: object, expected: object) -> None:
    """The etag as it came, quotes included; a placeholder of one pixel is no photo."""
    assert read(Item(200, {}, body), ASKED) == expected


@pytest.mark.parametrize(
    "body",
    [
        failed("ImageNotFound", "Exception of type 'Microsoft.Fast.Profile…' was thrown."),
        failed("ImageNotFound", "Exception of type 'Microsoft.People.Image…' was thrown."),
        failed("imagenotfound"),
        failed("ErrorEntityNotFound"),
        failed("ErrorItemNotFound", "The photo wasn't found."),
        failed("GetUserPhoto"),
    ],
)
def test_404_with_a_known_code_is_no_photo(body: object) -> None:
    """Graph says that this user has no photo, in any of the words it has used since 2018."""
    assert read(Item(404, {}, body), ASKED) == NoPhoto()


@pytest.mark.parametrize(
    "body",
    [
        failed("MailboxNotHostedInExchangeOnline"),
        failed("MailboxNotEnabledForRESTAPI"),
        failed("ProfileNotFound", "…Exception.ProfileNotFoundException…"),
        failed("ResourceNotFound"),
        failed("itemNotFound"),
        failed("ErrorNonExistentMailbox"),
        failed("ErrorInvalidUser"),
        failed("UnknownError"),
        failed("", "ImageNotFound"),
        failed("", ""),
        {"code": "ImageNotFound"},
        {},
        [],
        "VGhlIHBob3RvIHdhc24ndCBmb3VuZC4=",
        "<html><body>404 Not Found</body></html>",
        "ImageNotFound",
        None,
        "",
    ],
)
def test_any_other_404_proves_nothing(body: object) -> None:
    """A mailbox that is elsewhere, a proxy, no body at all: the photo may still be there."""
    seen = read(Item(404, {}, body), ASKED)
    assert isinstance(seen, Unknown)
    assert isinstance(seen.error, NotFound)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, failed("Request_ResourceNotFound"), UserUnknown),
        (404, failed("REQUEST_resourcenotfound"), UserUnknown),
        (400, failed("AuthenticationError"), RequestRejected),
        (401, failed("InvalidAuthenticationToken"), AccessDenied),
        (401, failed("AuthenticationError"), AccessDenied),
        (403, failed("Authorization_RequestDenied"), AccessDenied),
        (403, failed("ErrorAccessDenied"), AccessDenied),
        (403, failed("MailboxNotEnabledForRESTAPI"), AccessDenied),
        (429, failed("ApplicationThrottled"), Unavailable),
        (500, failed("ImageNotFound"), Unavailable),
        (503, failed("MailboxNotEnabledForRESTAPI"), Unavailable),
        (503, "<html>", Unavailable),
        (504, None, Unavailable),
        (0, None, Unavailable),
        (400, failed("ImageNotFound"), RequestRejected),
        (410, failed("ImageNotFound"), RequestRejected),
        (424, failed("FailedDependency"), RequestRejected),
        (204, None, RequestRejected),
        (304, None, RequestRejected),
        (200, None, RequestRejected),
        (200, "/9j/4AAQSkZJRg", RequestRejected),
        (200, [PHOTO], RequestRejected),
        (-1, None, RequestRejected),
    ],
)
def test_anything_else_is_unknown(status: int, body: object, error: type[Exception]) -> None:
    """An error, whatever its code, and a shape nobody knows never mean that a photo is gone."""
    seen = read(Item(status, {}, body), ASKED)
    assert isinstance(seen, Unknown)
    assert isinstance(seen.error, error)


def test_an_unknown_carries_the_evidence() -> None:
    """What the operator needs: status, code and text of the item."""
    seen = read(Item(503, {}, failed("serviceNotAvailable", "try later")), ASKED)
    assert isinstance(seen, Unknown)
    assert "503 serviceNotAvailable (try later)" in str(seen.error)


def parsed(value: Any, asked: int = 2) -> list[Item]:
    return items(Response(200, {}, b"", ASKED, value), asked)


@pytest.mark.parametrize(
    ("responses", "statuses"),
    [
        ([{"id": "1", "status": 404}, {"id": "0", "status": 200}], [200, 404]),
        ([{"id": "0", "status": 200}], [200, 0]),
        ([], [0, 0]),
        ([{"id": "2", "status": 200}, {"id": "x", "status": 200}], [0, 0]),
        ([{"id": "0", "status": 404}, {"id": "0", "status": 200}], [0, 0]),
        ([{"id": "0", "status": 404}, {"id": "0", "status": 404}], [0, 0]),
        ([{"id": 0, "status": 404}, {"id": ["1"], "status": 404}], [0, 0]),
        ([{"id": {}, "status": 404}, {"id": None, "status": 404}], [0, 0]),
        ([{"status": 404}, None, "x", 7, []], [0, 0]),
        ([{"id": "0", "status": "404"}, {"id": "1", "status": True}], [0, 0]),
        ([{"id": "0", "status": None}, {"id": "1"}], [0, 0]),
        ([{"id": "0", "status": 200, "headers": []}, {"id": "1", "status": 1.5}], [200, 0]),
    ],
)
def test_answers_belong_to_what_was_asked(responses: object, statuses: list[int]) -> None:
    """By id in any order; missing, unknown, double and senseless ones prove nothing."""
    assert [item.status for item in parsed({"responses": responses})] == statuses


@pytest.mark.parametrize("value", [None, [], {}, {"responses": {}}, {"error": {}}, "x", 1])
def test_no_batch_answer(value: object) -> None:
    """A whole answer of another shape is malformed."""
    with pytest.raises(MalformedResponse):
        parsed(value)


def test_headers_of_items() -> None:
    """Usable headers are kept, others dropped."""
    headers = {"Retry-After": 7, "x": "y", "odd": ["z"], "none": None}
    found = parsed({"responses": [{"id": "0", "status": 429, "headers": headers}]})
    assert found[0].headers == {"Retry-After": "7", "x": "y"}


@given(JSON, st.integers(0, BATCH_SIZE))
def test_any_batch_answer(value: object, asked: int) -> None:
    """Any JSON in any place gives one answer for each that was asked."""
    shapes = (
        value,
        {"responses": value},
        {"responses": [value]},
        {"responses": [{"id": "0", "status": 200, "headers": value, "body": value}]},
        {"responses": [{"id": "0", "status": 404, "body": {"error": value}}]},
        {"responses": [{"id": value, "status": value}]},
    )
    for shape in shapes:
        try:
            found = parsed(shape, asked)
        except MalformedResponse:
            continue
        assert len(found) == asked
        for item in found:
            assert isinstance(read(item, ASKED), Version | NoPhoto | Unknown)


def test_the_question() -> None:
    """Items are numbered; one with a body is a POST and has a content type."""
    requests = [ItemRequest("/users/1/photo"), ItemRequest("/x", {"a": "b"}, {"c": 1})]
    assert json.loads(build(requests))["requests"] == [
        {"id": "0", "method": "GET", "url": "/users/1/photo"},
        {
            "id": "1",
            "method": "POST",
            "url": "/x",
            "headers": {"a": "b", "Content-Type": "application/json"},
            "body": {"c": 1},
        },
    ]
