"""Graph's client against answers that the emulated tenant never gives."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.support.clock import VirtualClock
from local.tenant.http import Response
from shared.errors import (
    InvalidPhoto,
    MalformedResponse,
    NotFound,
    PermissionMissing,
    RequestRejected,
    Throttled,
    UserUnknown,
)
from shared.graph import PHOTO_LIMIT_BYTES, Graph, NoPhoto, Unknown, Version
from shared.model import User
from tests.support.scripted_service import Loopback, answer, budget, client

ID = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e{}"
IDS = [ID.format(n) for n in range(3)]


@pytest.fixture
def far() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def graph(far: Loopback, clock: VirtualClock) -> Graph:
    service = client(far.url, clock=clock)
    return Graph(service, far.url, budget(service))


def page(*entries: object, link: object = None, **more: object) -> Response:
    body: dict[str, object] = {"value": list(entries), **more}
    if link is not None:
        body["@odata.nextLink"] = link
    return answer(200, body)


def entry(number: int, upn: object = "a@b.c") -> dict[str, object]:
    return {"id": ID.format(number), "userPrincipalName": upn}


def item(number: int, status: int, body: object = None, **headers: object) -> dict[str, object]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"id": str(number), "status": status, "headers": named, "body": body}


GONE = {"error": {"code": "ImageNotFound"}}
PHOTO = {"@odata.mediaEtag": '"A"', "width": 648, "height": 648}


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/users?$skiptoken=x",
        "{url}.evil.example/v1.0/users",
        "{url}@evil.example/v1.0/users",
        "https://{host}/v1.0/users",
        "//{host}/v1.0/users",
        "/v1.0/users?$skiptoken=x",
        "users",
        "",
        "http://[::1",
        "{url}/v1.0/users?x=\udfff",
        "{url}/v1.0/users?x=\r\n",
        7,
        True,
        ["{url}/v1.0/users"],
        {},
    ],
)
def test_next_links_that_lead_nowhere(far: Loopback, graph: Graph, link: object) -> None:
    """A link to another origin or a senseless one is an error, not an end; no token follows it."""
    host = far.url.removeprefix("http://")
    target = link.format(url=far.url, host=host) if isinstance(link, str) else link
    far.script(page(entry(0), link=target))
    with pytest.raises(MalformedResponse, match="nextLink"):
        list(graph.user_pages("filter"))
    assert len(far.requests) == 1


@pytest.mark.parametrize("length", [1, 2, 3])
def test_next_links_that_go_round(far: Loopback, graph: Graph, length: int) -> None:
    """A circle of pages ends in an error after one round."""
    links = [f"{far.url}/v1.0/users?$skiptoken={n}" for n in range(length)]
    far.script(*[page(link=link) for link in links], page(link=links[0]))
    with pytest.raises(MalformedResponse, match="nextLink"):
        list(graph.user_pages("filter"))
    assert len(far.requests) == length + 1


def test_a_link_to_the_first_page(far: Loopback, graph: Graph) -> None:
    """The shortest circle."""

    def again() -> Response:
        return page(link=far.url + far.requests[0].target)

    far.script(again)
    with pytest.raises(MalformedResponse):
        list(graph.user_pages("filter"))
    assert len(far.requests) == 1


def test_every_page_is_asked_as_an_advanced_query(far: Loopback, graph: Graph) -> None:
    """The header goes with every page, the link is followed as it came, empty pages are read."""
    link = f"{far.url}/v1.0/users?$skiptoken=a'b%20c&x=1"
    far.script(page(entry(0), link=link), page(link=link + "2"), page(entry(1)))
    assert [len(p.users) for p in graph.user_pages("a eq 'b&c'")] == [1, 0, 1]
    assert {r.headers["consistencylevel"] for r in far.requests} == {"eventual"}
    assert far.url + far.requests[1].target == link
    assert far.requests[0].query() == {
        "$filter": "a eq 'b&c'",
        "$select": "id,userPrincipalName",
        "$top": "999",
        "$count": "true",
    }


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": {"code": "NotFound"}}'])
@pytest.mark.parametrize("group", [False, True])
def test_a_wrong_address(far: Loopback, graph: Graph, body: bytes, group: bool) -> None:
    """A 404 that is not the directory's own blames neither the filter nor the group."""
    far.script(Response(404, body))
    pages = graph.member_pages("group") if group else graph.user_pages("filter")
    with pytest.raises(NotFound):
        next(pages)


@pytest.mark.parametrize("body", [None, [], {}, {"value": None}, {"value": {}}, "x", 3])
def test_a_page_of_another_shape(far: Loopback, graph: Graph, body: object) -> None:
    """A list that is no list is an error, not an empty list."""
    far.script(Response(200, b"null") if body is None else answer(200, body))
    with pytest.raises(MalformedResponse):
        list(graph.user_pages("filter"))


@pytest.mark.parametrize(
    "unusable",
    [
        None,
        "x",
        7,
        [],
        {},
        {"id": ID.format(1)},
        {"userPrincipalName": "a@b.c"},
        entry(1, ""),
        entry(1, None),
        entry(1, 7),
        entry(1, "a\ud800@b.c"),
        entry(1, "a\n@b.c"),
        {"id": "not-a-guid", "userPrincipalName": "a@b.c"},
        {"id": ["x"], "userPrincipalName": "a@b.c"},
    ],
)
def test_entries_that_cannot_be_used_are_counted(
    far: Loopback, graph: Graph, unusable: object
) -> None:
    """They are told, so that nobody takes their users for gone."""
    far.script(page(entry(0), unusable, **{"@odata.count": 2}))
    (only,) = graph.user_pages("filter")
    assert only.users == [User(IDS[0], "a@b.c")]
    assert (only.expected, only.unusable) == (2, 1)


def test_ids_are_lower_case(far: Loopback, graph: Graph) -> None:
    """One user has one id, however it is written."""
    far.script(page({"id": IDS[0].upper(), "userPrincipalName": "A@B.c"}))
    assert next(graph.user_pages("filter")).users == [User(IDS[0], "A@B.c")]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {"error": {"code": "Request_ResourceNotFound"}}, UserUnknown),
        (404, {"error": {"code": "ResourceNotFound"}}, NotFound),
        (404, {}, NotFound),
        (404, "<html>", NotFound),
        (403, {}, PermissionMissing),
        (200, {"id": "x"}, MalformedResponse),
        (200, [], MalformedResponse),
        (400, {}, RequestRejected),
        (302, {}, RequestRejected),
    ],
)
def test_one_user(
    far: Loopback, graph: Graph, status: int, body: object, error: type[Exception]
) -> None:
    """Each answer about a single user has its error."""
    far.script(answer(status, body))
    with pytest.raises(error):
        graph.user("a@b.c")


def batch(*items: object, status: int = 200) -> Response:
    return answer(status, {"responses": list(items)})


def test_the_longest_wait_of_the_items_counts(
    far: Loopback, graph: Graph, clock: VirtualClock
) -> None:
    """Also of an item that failed otherwise; header names in any case, numbers as numbers."""
    far.script(
        batch(
            item(0, 429, retry_after="5"),
            item(1, 429, RETRY_AFTER=90),
            item(2, 503, Retry_After="30"),
        ),
        batch(item(2, 200, PHOTO), item(0, 200, PHOTO), item(1, 404, GONE)),
    )
    assert graph.photo_versions(IDS) == {
        IDS[0]: Version('"A"'),
        IDS[1]: NoPhoto(),
        IDS[2]: Version('"A"'),
    }
    assert clock.monotonic() == 90


def test_a_batch_throttled_beyond_the_deadline(far: Loopback, graph: Graph) -> None:
    """Nobody is answered and there is no time to wait: throttled, with the wait."""
    far.script(batch(item(0, 429), item(1, 429, retry_after="9999"), item(2, 503)))
    with pytest.raises(Throttled) as caught:
        graph.photo_versions(IDS)
    assert caught.value.retry_after >= 3600
    assert len(far.requests) == 1


def test_failures_and_throttling_in_one_batch(far: Loopback, graph: Graph) -> None:
    """Items that fail for different reasons are both asked again, and both bounded."""
    far.script(
        batch(item(0, 429), item(1, 500), item(2, 404, GONE)), batch(item(0, 429), item(1, 500))
    )
    seen = graph.photo_versions(IDS)
    assert seen.pop(IDS[2]) == NoPhoto()
    assert all(isinstance(each, Unknown) for each in seen.values())
    assert len(far.requests) < 15


def test_slow_progress_is_no_failure(far: Loopback, graph: Graph) -> None:
    """As long as some items get through, the rest is asked again."""
    ids = [f"6ea91a8d-e32e-41a1-b7bd-d2d185eed{n:03x}" for n in range(20)]
    rounds = [
        batch(item(0, 200, PHOTO), *(item(n, 429) for n in range(1, left)))
        for left in range(20, 0, -1)
    ]
    far.script(*rounds)
    assert set(graph.photo_versions(ids).values()) == {Version('"A"')}
    assert len(far.requests) == 20


def test_424_with_answers_in_it(far: Loopback, graph: Graph) -> None:
    """Older documentation: the envelope is 424 when an item was throttled."""
    far.script(
        batch(item(0, 429), item(1, 404, GONE), status=424),
        batch(item(0, 200, PHOTO)),
    )
    assert graph.photo_versions(IDS[:2]) == {IDS[0]: Version('"A"'), IDS[1]: NoPhoto()}


@pytest.mark.parametrize(
    "reply",
    [
        Response(424, b"<html>"),
        answer(424, {"error": {}}),
        answer(200, {"error": {}}),
        answer(200, []),
    ],
)
def test_an_envelope_of_another_shape(far: Loopback, graph: Graph, reply: Response) -> None:
    """Nobody is without a photo because the envelope is broken."""
    far.script(reply)
    seen = graph.photo_versions(IDS)
    assert seen.keys() == set(IDS)
    for each in seen.values():
        assert isinstance(each, Unknown)
        assert isinstance(each.error, MalformedResponse)


@pytest.mark.parametrize("body", ["x", [], None, {"error": "odd"}, {"error": {"code": ["odd"]}}])
def test_odd_bodies_of_items(far: Loopback, graph: Graph, body: Any) -> None:
    """An item's body of any shape is read or unknown."""
    far.script(batch(item(0, 200, body), item(1, 404, body), item(2, 400, body)))
    seen = graph.photo_versions(IDS)
    assert isinstance(seen[IDS[0]], Unknown | Version)
    assert isinstance(seen[IDS[1]], Unknown)
    assert isinstance(seen[IDS[2]], Unknown)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Response(200, b"bytes"), None, b"bytes"),
        (Response(404, b"no", {"Content-Type": "text/plain"}), Response(200, b"orig"), b"orig"),
        (Response(404, b""), answer(404, {"error": {"code": "ImageNotFound"}}), None),
        (Response(200, b""), None, b""),
        (Response(200, b"<html>"), None, b"<html>"),
    ],
)
def test_bytes(
    far: Loopback, graph: Graph, first: Response, second: Response | None, expected: bytes | None
) -> None:
    """The rendition, else the original, else nothing; what they are is not judged here."""
    far.script(first, second or first)
    assert graph.photo(IDS[0]) == expected
    assert [request.path().partition(IDS[0])[2] for request in far.requests] == [
        "/photos/648x648/$value",
        "/photo/$value",
    ][: 1 if second is None else 2]


def test_bytes_without_end(far: Loopback, graph: Graph) -> None:
    """More than any photo may have is not read into memory."""
    far.script(Response(200, b"x" * (PHOTO_LIMIT_BYTES + 1)))
    with pytest.raises(InvalidPhoto, match="8 MB"):
        graph.photo(IDS[0])
