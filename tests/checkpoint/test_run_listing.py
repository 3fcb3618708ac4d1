"""The listing of a run: broken, empty, newer, or large."""

import gzip
import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient

from shared.checkpoint.run_blobs import read_users
from shared.errors import BrokenState, NewerSchema
from tests.support.blob_faults import ID, OTHER, put
from tests.support.run_firing import (
    PAGE,
    USERS,
    Fire,
)


def packed(*documents: object) -> bytes:
    """Pages as they are stored."""
    return b"".join(
        gzip.compress(json.dumps(value).encode() + b"\n", mtime=0) for value in documents
    )


WHOLE = packed(PAGE | {"schema": 1})


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip",
        b"\x1f\x8b",
        WHOLE[:-9],
        WHOLE[: len(WHOLE) // 2],
        WHOLE + WHOLE[:20],
        WHOLE + b"junk",
        WHOLE[:15] + b"\xff\xff\xff" + WHOLE[18:],
        WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:],
        gzip.compress(b'{"schema":1}', mtime=0),
        gzip.compress(b"\n", mtime=0),
        gzip.compress(b"[]\n", mtime=0),
        gzip.compress(b'{"users":[]}\n', mtime=0),
        gzip.compress(b"[" * 100_000 + b"\n", mtime=0),
        gzip.compress(b'{"schema":1,"users":\xff}\n', mtime=0),
    ],
)
def test_a_broken_listing(fire: Fire, container: ContainerClient, data: bytes) -> None:
    """Whatever is not the pages that were written is a typed error, never half a listing."""
    put(container, USERS, data)
    with pytest.raises(BrokenState):
        list(fire().blobs.pages())


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_listing(fire: Fire, container: ContainerClient, data: bytes) -> None:
    """A listing that was created and not written has no pages."""
    put(container, USERS, data)
    assert list(fire().blobs.pages()) == []


def test_a_listing_of_a_newer_version(fire: Fire, container: ContainerClient) -> None:
    """A newer version's listing is refused, and not called broken."""
    put(container, USERS, packed({"schema": 2}))
    with pytest.raises(NewerSchema):
        list(fire().blobs.pages())


def test_a_listing_that_unpacks_to_much_more(fire: Fire, container: ContainerClient) -> None:
    """A page that unpacks to gigabytes is refused at a few megabytes."""
    chunk = gzip.compress(b"x" * 1_000_000, mtime=0)
    put(container, USERS, packed(PAGE | {"schema": 1}) + chunk * 200)
    pages = fire().blobs.pages()
    tracemalloc.start()
    try:
        assert next(pages)["users"] == PAGE["users"]
        with pytest.raises(BrokenState, match="too long"):
            next(pages)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_the_memory_of_a_million_users(fire: Fire, container: ContainerClient) -> None:
    """A listing is read page by page: a million users need 60 MB while it is read."""
    users = 50_000
    numbers = iter(range(users))
    for _ in range(50):
        page = [
            [f"{next(numbers) * 85899:08x}{ID[8:]}", "first.last@contoso.com"] for _ in range(1000)
        ]
        _append(container, gzip.compress(json.dumps({"schema": 1, "users": page}).encode() + b"\n"))
    blobs = fire().blobs
    tracemalloc.start()
    try:
        assert sum(len(read_users(page)) for page in blobs.pages()) == users
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    stored = container.get_blob_client(USERS).get_blob_properties().size
    # The packed blob twice, as the library and we hold it, and one page unpacked.
    assert peak < 3 * stored + 4_000_000
    assert stored / users < 40


def _append(container: ContainerClient, block: bytes) -> None:
    blob = container.get_blob_client(USERS)
    with suppress(ResourceExistsError):
        blob.create_append_blob(match_condition=MatchConditions.IfMissing)
    blob.append_block(block)


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"users": None},
        {"users": {}},
        {"users": "ab"},
        {"users": ["ab"]},
        {"users": [[ID]]},
        {"users": [[ID, "a", "b"]]},
        {"users": [[ID, None]]},
        {"users": [[1, "a"]]},
        {"users": [[ID, "a"], None]},
    ],
)
def test_pages_that_are_none(page: dict[str, Any]) -> None:
    """A page holds pairs of id and name, or it is broken."""
    with pytest.raises(BrokenState):
        read_users(page)


def test_a_page(fire: Fire) -> None:
    """What was written is read back."""
    blobs = fire().blobs
    blobs.append_page({"users": [[ID, "ü@contoso.com"], [OTHER, ""]]})
    assert [read_users(page) for page in blobs.pages()] == [[(ID, "ü@contoso.com"), (OTHER, "")]]
