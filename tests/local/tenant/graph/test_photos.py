"""Photos: metadata, sizes, bytes, and every way of having none."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from local.tenant import Quirks, Tenant

SIZES = ("photo", "photos/648x648", "photos/648X648", "photos/48x48")


def image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_metadata(graph: Any) -> None:
    """Metadata names type, etag and real dimensions; the id of the largest is `default`."""
    answer = graph.read(f"/users/{graph.person('wide photo')}/photo")
    body = answer.json()
    assert body.pop("@odata.context").startswith(f"{graph.root}/$metadata#users('")
    etag = body.pop("@odata.mediaEtag")
    assert etag.startswith('"')
    assert etag.endswith('"')
    assert body == {
        "@odata.mediaContentType": "image/jpeg",
        "id": "default",
        "width": 648,
        "height": 432,
    }


def test_sizes_up_to_the_upload(graph: Any) -> None:
    """A photo has the sizes that it is large enough for."""
    person = graph.person("240x240 photo")
    found = graph.read(f"/users/{person}/photos").json()["value"]
    assert [entry["id"] for entry in found] == ["48X48", "64X64", "96X96", "120X120", "240X240"]
    assert graph.read(f"/users/{person}/photos/240x240").json()["width"] == 240
    assert graph.read(f"/users/{person}/photos/360x360").status_code == 404
    assert graph.read(f"/users/{person}/photos/360x360/$value").status_code == 404


def test_larger_size_may_be_the_photo_itself(make_tenant: Any, connect: Any) -> None:
    """With the other answer to an open question, a size above the upload is the upload."""
    graph = connect(make_tenant(users=60, quirks=Quirks(sized_photo_missing=False)))
    person = graph.person("240x240 photo")
    answer = graph.read(f"/users/{person}/photos/648x648/$value")
    assert answer.content == graph.read(f"/users/{person}/photo/$value").content
    assert graph.read(f"/users/{person}/photos/648x648").json()["width"] == 240


@pytest.mark.parametrize("size", ["50x50", "648x432", "7000x7000"])
def test_size_that_no_photo_has(graph: Any, size: str) -> None:
    """Only the listed sizes exist."""
    answer = graph.read(f"/users/{graph.person('ordinary')}/photos/{size}")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["photos/big", "photo/$ref", "photos/48x48/$value/x", "picture"])
def test_no_such_path(graph: Any, path: str) -> None:
    """Anything else below a user is a bad request."""
    assert graph.read(f"/users/{graph.person('ordinary')}/{path}").status_code == 400


def test_bytes(graph: Any, tenant: Tenant) -> None:
    """`$value` is the raw picture, with the metadata's etag as ETag header."""
    person = graph.person("4 MB photo")
    whole = graph.read(f"/users/{person}/photo/$value")
    assert whole.headers["Content-Type"] == "image/jpeg"
    assert whole.content == tenant.directory.people[person].photo.data  # type: ignore[union-attr] # has one
    assert 3_000_000 < len(whole.content) <= 4 * 2**20
    sized = graph.read(f"/users/{person}/photos/648x648/$value")
    assert image(sized.content).size == (648, 486)
    etags = {whole.headers["ETag"], sized.headers["ETag"]}
    assert etags == {graph.read(f"/users/{person}/photo").json()["@odata.mediaEtag"]}


def test_etag_follows_the_photo(graph: Any, tenant: Tenant) -> None:
    """The etag is stable, and new with a new photo."""
    person = graph.person("ordinary")

    def read() -> str:
        found: str = graph.read(f"/users/{person}/photo").json()["@odata.mediaEtag"]
        return found

    first = read()
    assert read() == first
    tenant.directory.set_photo(person, tenant.directory.people[person].photo.data)  # type: ignore[union-attr] # has one
    assert read() != first


def test_unstable_etag(graph: Any, tenant: Tenant) -> None:
    """A quirk makes the etag change at every read while the bytes stay."""
    tenant.quirks.etag_unstable = True
    path = f"/users/{graph.person('ordinary')}/photo"
    assert graph.read(path).json() != graph.read(path).json()
    assert graph.read(f"{path}/$value").content == graph.read(f"{path}/$value").content


@pytest.mark.parametrize("who", ["no photo", "00000000-0000-4000-8000-000000000000", "x@y.z"])
@pytest.mark.parametrize("path", [*SIZES, "photo/$value", "photos/648x648/$value", "photos"])
def test_no_photo(graph: Any, who: str, path: str) -> None:
    """No photo and no such user look the same: 404 ImageNotFound."""
    person = graph.person(who) if who == "no photo" else who
    answer = graph.read(f"/users/{person}/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ImageNotFound"


@pytest.mark.parametrize("code", ["ErrorItemNotFound", "GetUserPhoto", "ErrorEntityNotFound"])
def test_other_codes_for_no_photo(graph: Any, tenant: Tenant, code: str) -> None:
    """The error code of former years can be had."""
    tenant.quirks.no_photo_code = code
    answer = graph.read(f"/users/{graph.person('no photo')}/photo")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


def test_one_pixel_for_no_photo(graph: Any, tenant: Tenant) -> None:
    """The documented answer for no photo: metadata of a 1x1 GIF, and no bytes."""
    tenant.quirks.no_photo = "1x1"
    path = f"/users/{graph.person('no photo')}/photo"
    body = graph.read(path).json()
    assert body["@odata.mediaEtag"] == ""
    assert (body["id"], body["width"], body["height"]) == ("1x1", 1, 1)
    assert body["@odata.mediaContentType"] == "image/gif"
    assert graph.read(f"{path}/$value").status_code == 404


def test_photo_in_a_batch_is_base64(graph: Any, tenant: Tenant) -> None:
    """Bytes come back as base64, with type and etag in the item's headers."""
    person = graph.person("transparent PNG")
    url = f"/users/{person}/photos/648x648/$value"
    item = graph.batch([url])[url]
    photo = tenant.directory.people[person].photo
    assert photo is not None
    assert base64.b64decode(item["body"], validate=True) == photo.data
    assert item["headers"]["Content-Type"] == "image/png"
    assert item["headers"]["ETag"] == photo.etag


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ({"ProfilePhoto.Read.All"}, 200),
        ({"User.ReadBasic.All"}, 200),
        ({"User.Read.All"}, 200),
        ({"GroupMember.Read.All"}, 403),
    ],
)
def test_roles_for_photos(graph: Any, tenant: Tenant, roles: set[str], status: int) -> None:
    """Photos need one of their roles, in a batch for each item."""
    person = graph.person("ordinary")
    tenant.roles["graph"] = roles
    graph.renew()
    url = f"/users/{person}/photo"
    assert graph.read(url).status_code == status
    assert graph.batch([url])[url]["status"] == status
