"""SharePoint's client against answers that the emulated tenant never gives."""

from collections.abc import Iterator

import pytest

from local.support.clock import VirtualClock
from local.tenant.http import Response
from shared.errors import MalformedResponse, ProfileMissing, RequestRejected, Throttled
from shared.model import ThumbnailLocation, User
from shared.photos import Thumbnails
from shared.sharepoint import SharePoint
from shared.sharepoint.profiles import Profile
from tests.support.scripted_service import Loopback, answer, budget, client
from tests.support.service_clients import IMAGES

USERS = [User(f"6ea91a8d-e32e-41a1-b7bd-d2d185eed0e{n}", f"u{n}@contoso.com") for n in range(3)]
PROFILE = '{"PersonalSiteHostUrl": "", "UserProfileProperties": []}'
ONE = Response(200, PROFILE.encode())
EMPTY = Profile("", "", "")


@pytest.fixture
def far() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def sharepoint(far: Loopback, clock: VirtualClock) -> SharePoint:
    service = client(far.url, clock=clock, name="sharepoint")
    return SharePoint(service, mysite=far.url, admin=far.url, budget=budget(service))


@pytest.fixture
def place(far: Loopback) -> ThumbnailLocation:
    return ThumbnailLocation(far.url, "Profile Pictures", USERS[0].id)


def batch(*parts: str) -> Response:
    body = "".join(f"--b\r\nContent-Type: application/http\r\n\r\n{part}\r\n" for part in parts)
    kind = {"Content-Type": "multipart/mixed; boundary=b"}
    return Response(200, f"{body}--b--\r\n".encode(), kind)


def part(status: int, body: str = PROFILE, headers: str = "") -> str:
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Type: application/json\r\n\r\n{body}"


GOOD = part(200)


def test_a_throttled_part_holds_the_service(
    far: Loopback, sharepoint: SharePoint, clock: VirtualClock
) -> None:
    """Whoever was throttled is asked alone, after the longest wait of all parts."""
    far.script(
        batch(part(429, "", "Retry-After: 15\r\n"), GOOD, part(503, "", "RETRY-AFTER: 45\r\n")),
        lambda: ONE if clock.monotonic() >= 45 else answer(500),
    )
    assert sharepoint.profiles(USERS) == dict.fromkeys((u.id for u in USERS), EMPTY)
    assert len(far.requests) == 3
    assert clock.monotonic() == 45


def test_a_throttled_part_beyond_the_deadline(far: Loopback, sharepoint: SharePoint) -> None:
    """No time for the wait: throttled."""
    far.script(batch(GOOD, part(429, ""), part(429, "", "Retry-After: 9999\r\n")))
    with pytest.raises(Throttled):
        sharepoint.profiles(USERS)


def test_a_part_that_asks_for_a_pause_of_its_own(
    far: Loopback, sharepoint: SharePoint, clock: VirtualClock
) -> None:
    """While most are answered the pause is that user's own, and nobody waits for it."""
    far.script(batch(GOOD, part(429, "", "Retry-After: 300\r\n"), GOOD))
    found = sharepoint.profiles(USERS)
    throttled = found[USERS[1].id]
    assert isinstance(throttled, Throttled)
    assert (throttled.own, throttled.retry_after) == (True, 300)
    assert (found[USERS[0].id], found[USERS[2].id]) == (EMPTY, EMPTY)
    assert (len(far.requests), clock.monotonic()) == (1, 0)


@pytest.mark.parametrize(
    "reply",
    [
        batch(GOOD, GOOD),
        batch(GOOD, GOOD, GOOD, GOOD),
        batch(),
        Response(200, b"no multipart"),
        Response(200, b"", {"Content-Type": "multipart/mixed; boundary=b"}),
        answer(400),
        answer(404),
        answer(501),
    ],
)
def test_a_batch_that_proves_nothing(
    far: Loopback, sharepoint: SharePoint, reply: Response
) -> None:
    """A wrong number of parts, or no parts at all: everybody is asked alone."""
    far.script(reply, ONE)
    assert sharepoint.profiles(USERS) == dict.fromkeys((u.id for u in USERS), EMPTY)
    assert len(far.requests) <= 5


def test_a_user_that_spoils_a_batch_does_not_end_batches(
    far: Loopback, sharepoint: SharePoint
) -> None:
    """After a 400, which may be about one user, the next batch is tried again."""
    far.script(answer(400), ONE, batch(GOOD, GOOD), batch(GOOD, GOOD, GOOD))
    sharepoint.profiles(USERS)
    sharepoint.profiles(USERS)
    assert len(far.requests) == 4


@pytest.mark.parametrize(
    ("middle", "alone", "expected"),
    [
        (part(200, '{"odata.null": true}'), ONE, ProfileMissing),
        (part(500, '{"error": {"message": "User Not Found"}}'), ONE, ProfileMissing),
        (part(404, ""), ONE, Profile),
        (part(403, ""), ONE, Profile),
        (part(200, "{"), ONE, Profile),
        (part(200, "[]"), answer(200, []), MalformedResponse),
        ("garbage", answer(200, {"x": 1}), MalformedResponse),
    ],
)
def test_a_part_that_is_not_sure_is_asked_alone(
    far: Loopback,
    sharepoint: SharePoint,
    middle: str,
    alone: Response,
    expected: type,
) -> None:
    """Only for the user whose part it is."""
    far.script(batch(GOOD, middle, GOOD), alone)
    found = sharepoint.profiles(USERS)
    assert isinstance(found[USERS[1].id], expected)
    assert (found[USERS[0].id], found[USERS[2].id]) == (EMPTY, EMPTY)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(200, {"Length": "4"}), RequestRejected),
        (answer(200, {"Length": 0}), RequestRejected),
        (answer(200, {"Length": "odd"}), RequestRejected),
        (answer(200, []), MalformedResponse),
        (Response(200, b"<html>"), MalformedResponse),
        (Response(200, b""), MalformedResponse),
    ],
)
def test_an_upload_must_say_what_it_stored(
    far: Loopback,
    sharepoint: SharePoint,
    place: ThumbnailLocation,
    reply: Response,
    error: type[Exception],
) -> None:
    """Another number of bytes, or no file in the answer, is no success."""
    far.script(reply)
    with pytest.raises(error):
        sharepoint.upload(place, "M", IMAGES.medium)


@pytest.mark.parametrize(
    ("stored", "has"),
    [
        ((b"LLL", b"SSS", b"MMM"), True),
        ((b"LLL", b"SSS", b"OLD"), False),
        ((b"OLD", b"SSS", b"MMM"), False),
        ((b"LLL", None, b"MMM"), False),
        ((b"LLL", b"", b"MMM"), False),
        ((b"MMM", b"SSS", b"LLL"), False),
    ],
)
def test_files_with_other_content_do_not_count(
    far: Loopback,
    sharepoint: SharePoint,
    place: ThumbnailLocation,
    stored: tuple[bytes | None, ...],
    has: bool,
) -> None:
    """All three files must hold exactly these bytes; another picture of the same length is none."""
    far.script(*(answer(404) if data is None else Response(200, data) for data in stored))
    assert sharepoint.has_content(place, Thumbnails(b"SSS", b"MMM", b"LLL")) is has


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ([{"Name": "Bilder", "ItemCount": 3}], "Bilder"),
        ([{"Name": "A", "ItemCount": 3}, {"Name": "B", "ItemCount": 90}], "B"),
        ([{"Name": "Zz", "ItemCount": 0}, {"Name": "Profile Pictures"}], "Profile Pictures"),
        ([{"Name": "Forms", "ItemCount": 99}, {"Name": "_t"}, {"Name": "x"}], "x"),
        ([{"Name": "A", "ItemCount": "7"}, {"Name": "B", "ItemCount": ["odd"]}], "A"),
        ([None, "x", {}, {"Name": 7}, {"Name": ".."}, {"Name": "a\ud800"}, {"Name": "ok"}], "ok"),
    ],
)
def test_the_folder(far: Loopback, sharepoint: SharePoint, folders: object, expected: str) -> None:
    """The fullest that can be one; what SharePoint could never have as a name is passed over."""
    far.script(answer(200, {"value": folders}))
    assert [sharepoint.folder(far.url) for _ in range(3)] == [expected] * 3
    assert len(far.requests) == 1


@pytest.mark.parametrize("body", [{}, [], {"value": {}}, {"value": "x"}])
def test_a_list_of_folders_of_another_shape(
    far: Loopback, sharepoint: SharePoint, body: object
) -> None:
    """Nothing is made because a list cannot be read."""
    far.script(answer(200, body))
    with pytest.raises(MalformedResponse):
        sharepoint.folder(far.url)
    assert {request.method for request in far.requests} == {"GET"}


@pytest.mark.parametrize(
    "digest", [None, 7, [], "a\r\nX-Evil: 1", "\u20ac"], ids=["none", "int", "list", "lines", "€"]
)
def test_a_digest_that_cannot_be_one(
    far: Loopback, sharepoint: SharePoint, place: ThumbnailLocation, digest: object
) -> None:
    """It becomes a header, so only plain text is taken for one."""
    wanted = {"odata.error": {"code": "-2130575251, Microsoft.SharePoint.SPException"}}
    far.script(answer(403, wanted), answer(200, {"FormDigestValue": digest}))
    with pytest.raises(MalformedResponse, match="digest"):
        sharepoint.upload(place, "M", IMAGES.medium)
    assert all("x-evil" not in request.headers for request in far.requests)


def test_a_refused_query_and_refused_properties(
    far: Loopback, sharepoint: SharePoint, place: ThumbnailLocation
) -> None:
    """Both ways refused: the error of the second; the first stays in use."""
    far.script(answer(400))
    for _ in range(2):
        with pytest.raises(RequestRejected):
            sharepoint.show("a@b.c", place)
    assert ["ProcessQuery" in request.target for request in far.requests] == [True, False] * 2


@pytest.mark.parametrize("body", [[], {}, [{}], [{"ErrorInfo": "x"}], None])
def test_a_query_without_an_answer(
    far: Loopback, sharepoint: SharePoint, place: ThumbnailLocation, body: object
) -> None:
    """200 with something else is no success, and no reason to write in another way."""
    far.script(answer(200, body))
    with pytest.raises(MalformedResponse):
        sharepoint.show("a@b.c", place)
    assert len(far.requests) == 1
