"""The blobs of one run: a write that succeeded, whose response was lost."""

import gzip
import json
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient
from requests.adapters import HTTPAdapter

from shared.app import App
from shared.checkpoint.run_blobs import RunBlobs
from shared.errors import LeaseLost, StateError
from tests.support.blob_faults import ID, OTHER, BlobFaults, names, read
from tests.support.run_firing import (
    LINES,
    NAMES,
    OTHER_PAGE,
    PAGE,
    REPORT,
    USERS,
    WRITES,
    Fire,
    a_run,
    all_of,
    lines_of,
)


def lose(faults: BlobFaults, times: int, **fault: Any) -> None:
    """Lose the responses to the next writes."""
    faults.clear()
    faults.add("timeout_after", times=times, **fault)


@pytest.mark.parametrize("wrote", [False, True])
@pytest.mark.parametrize("name", WRITES)
def test_a_response_that_was_lost(
    fire: Fire, container: ContainerClient, faults: BlobFaults, name: str, *, wrote: bool
) -> None:
    """A write that arrived, and that the library sends again, is ours and is there once."""
    firing = fire()
    if wrote:
        for write in WRITES.values():
            write(firing.blobs)
    firing.blobs.append_page(OTHER_PAGE)
    firing.run.cursor, firing.run.listed = ID, 7
    before = all_of(container)
    lose(
        faults,
        1,
        method="DELETE" if name == "delete" else "PUT",
        part="Z." if name != "run" else "run.json",
    )

    WRITES[name](firing.blobs)
    after = all_of(container)
    WRITES[name](firing.blobs)

    if name == "page":
        assert gzip.decompress(after[USERS]).count(b"\n") == 2
    elif name == "lines":
        assert after[LINES].count(b"\n") == before.get(LINES, b"").count(b"\n") + 1
    elif name == "delete":
        assert USERS not in after
    else:
        blob = REPORT if name == "report" else "run.json"
        assert json.loads(after[blob])["listed"] == 7


@pytest.mark.parametrize("part", ["jsonl", "comp=appendblock"])
def test_a_block_that_arrived_though_every_response_was_lost(
    fire: Fire, container: ContainerClient, faults: BlobFaults, part: str
) -> None:
    """After an append that seemed to fail, the next one goes on behind it, in the same firing."""
    blobs = fire().blobs
    lose(faults, 4, method="PUT", part=part)
    with pytest.raises(StateError):
        blobs.append_lines([{"id": "first"}])
    faults.clear()
    blobs.append_lines([{"id": "second"}])
    blobs.append_lines([{"id": "third"}])
    stored = [line["id"] for line in lines_of(container)]
    assert stored == (["first"] if "block" in part else []) + ["second", "third"]


@pytest.mark.parametrize(("name", "part"), [("report", "Z.json"), ("run", "run.json")])
def test_a_document_that_arrived_though_every_response_was_lost(
    fire: Fire, container: ContainerClient, faults: BlobFaults, name: str, part: str
) -> None:
    """After a write that seemed to fail, the next one of the same firing replaces it."""
    firing = fire()
    lose(faults, 4, method="PUT", part=part)
    with pytest.raises(StateError):
        WRITES[name](firing.blobs)
    faults.clear()
    firing.run.listed = 7
    WRITES[name](firing.blobs)
    assert json.loads(read(container, NAMES[name]))["listed"] == 7


@pytest.mark.parametrize(("name", "part"), [("report", "Z.json"), ("run", "run.json")])
def test_a_request_that_arrives_late(
    fire: Fire,
    container: ContainerClient,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    part: str,
) -> None:
    """A write that was given up, and reaches storage after a later one, undoes nothing."""
    firing = fire()
    late: list[requests.PreparedRequest] = []
    real = HTTPAdapter.send

    def send(
        adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        if request.method == "PUT" and part in str(request.url) and not late:
            late.append(request)
            raise requests.ReadTimeout("it is still on its way")
        return real(adapter, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    WRITES[name](firing.blobs)
    firing.run.listed = 7
    WRITES[name](firing.blobs)

    with requests.Session() as session:
        assert session.send(late[0], timeout=20).status_code in {409, 412}
    assert json.loads(read(container, NAMES[name]))["listed"] == 7


def test_a_listing_is_deleted_though_the_last_page_seemed_to_fail(
    fire: Fire, container: ContainerClient, faults: BlobFaults
) -> None:
    """A page of ours that arrived unseen does not keep the listing."""
    blobs = fire().blobs
    blobs.append_page(OTHER_PAGE)
    lose(faults, 4, method="PUT", part="users")
    with pytest.raises(StateError):
        blobs.append_page(PAGE)
    faults.clear()
    blobs.delete_pages()
    assert names(container) == ["run.json"]


@pytest.mark.parametrize("existing", [False, True])
def test_another_firings_block_of_the_same_length_is_not_ours(
    fire: Fire, container: ContainerClient, *, existing: bool
) -> None:
    """Content tells whose a block is: one of the same length must not be taken for ours."""
    first = fire().blobs
    if existing:
        first.append_lines([{"id": "0"}])
    second = fire().blobs
    second.append_lines([{"id": "2"}])
    with pytest.raises(LeaseLost):
        first.append_lines([{"id": "1"}])
    assert lines_of(container)[-1:] == [{"id": "2"}]
    second.append_lines([{"id": "3"}])


@pytest.mark.parametrize("name", ["report", "lines", "page", "delete"])
def test_another_firing_right_behind_our_lost_write(
    app: App, fire: Fire, container: ContainerClient, faults: BlobFaults, name: str
) -> None:
    """When another firing takes over behind a write of ours that seemed to fail, it stays so."""
    firing = fire()
    if name in {"page", "delete"}:
        firing.blobs.append_page(OTHER_PAGE)
    lose(faults, 4, method="PUT", part={"report": "Z.json"}.get(name, "comp=appendblock"))
    with pytest.raises(StateError):
        WRITES["page" if name == "delete" else name](firing.blobs)
    faults.clear()
    other = fire(a_run(id="other", listed=9))
    firing.run.listed = 7
    changed: list[dict[str, bytes]] = []

    def write_too() -> None:
        faults.clear()
        blobs = RunBlobs(app.checkpoint(), other.run, other.lease)
        blobs.append_lines([{"id": OTHER}])
        blobs.append_page({"users": [], "of": "users"})
        blobs.save_report()
        changed.append(all_of(container))

    # At the second try, which knows what was there a moment ago.
    method = "DELETE" if name == "delete" else "PUT"
    faults.add("call", method=method, part="runs/", nth=1, action=write_too)
    retry = {"lines": lambda blobs: blobs.append_lines([{"id": "again"}])} | {
        "page": lambda blobs: blobs.append_page({"users": [], "of": "again"})
    }
    with pytest.raises(LeaseLost):
        (WRITES | retry)[name](firing.blobs)
    assert changed == [all_of(container)]


def test_without_a_container_there_is_no_run(app: App, fire: Fire) -> None:
    """A container that vanished is not taken for a run without blobs."""
    firing = fire()
    app.container.delete_container()
    with pytest.raises(StateError, match=r"look at .*: ContainerNotFound"):
        RunBlobs(app.checkpoint(), firing.run, firing.lease)


def test_an_error_that_is_no_sign_of_another_writer(fire: Fire, faults: BlobFaults) -> None:
    """Storage's own trouble is told as it is."""
    faults.add("status", method="PUT", part="jsonl", times=9, status=409, code="InvalidBlobType")
    blobs = fire().blobs
    with pytest.raises(StateError, match=r"append to .*jsonl: InvalidBlobType"):
        blobs.append_lines([{"id": ID}])
    faults.add("status", method="PUT", part="Z.json", times=9, status=409, code="InvalidBlobType")
    with pytest.raises(StateError, match="write the report: InvalidBlobType"):
        blobs.save_report()
    blobs.append_page(PAGE)
    faults.add("status", method="DELETE", times=9, status=409, code="SnapshotsPresent")
    with pytest.raises(StateError, match=r"delete .*users: SnapshotsPresent"):
        blobs.delete_pages()
