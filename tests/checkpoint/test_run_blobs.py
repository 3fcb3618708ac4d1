"""The blobs of one run: what is written, and who may write it."""

import gzip
import json
from itertools import count

import pytest
from azure.storage.blob import ContainerClient

from shared.app import App
from shared.checkpoint import run_blobs
from shared.checkpoint.documents import iso
from shared.checkpoint.run_blobs import close_run
from shared.checkpoint.runs import INTERRUPTED
from shared.errors import LeaseLost, StateError
from shared.model import Outcome
from tests.support.blob_faults import ID, OTHER, BlobFaults, end_lease, names, put, read
from tests.support.run_firing import (
    BLOBS,
    LINES,
    OTHER_PAGE,
    PAGE,
    REPORT,
    USERS,
    WRITES,
    Fire,
    Time,
    a_run,
    all_of,
    lines_of,
)

# -- what is written -----------------------------------------------------------------------------


def test_what_a_run_leaves(fire: Fire, container: ContainerClient, app: App) -> None:
    """Report, lines and listing stand under runs/, named by when the run started."""
    run = a_run(listed=1, counts={Outcome.UPDATED: 1})
    blobs = fire(run).blobs
    blobs.append_page(PAGE)
    blobs.append_lines([{"id": ID, "outcome": "updated"}])
    blobs.append_lines([])
    blobs.append_lines([{"id": OTHER, "userPrincipalName": "ü\ud800@x", "outcome": "x"}])
    blobs.save()
    blobs.save_report()

    assert names(container) == BLOBS
    assert json.loads(read(container, REPORT)) == run.report()
    assert json.loads(read(container, "run.json")) == run.to_json()
    assert run.updated == iso(app.clock.time())
    assert [line["id"] for line in lines_of(container)] == [ID, OTHER]
    assert json.loads(gzip.decompress(read(container, USERS))) == PAGE | {"schema": 1}
    kinds = {blob.name: blob for blob in container.list_blobs()}
    assert kinds[LINES].blob_type == kinds[USERS].blob_type == "AppendBlob"
    types = [kinds[name].content_settings.content_type for name in BLOBS]
    assert types == ["application/json"] * 2 + ["application/jsonl", "application/gzip"]
    assert kinds[USERS].content_settings.content_encoding is None


def test_a_new_run_has_no_blobs_to_ask_for(
    fire: Fire, faults: BlobFaults, container: ContainerClient
) -> None:
    """Nothing is read of a run that was never saved; should there be a blob, it is another's."""
    faults.clear()
    blobs = fire(a_run(updated="")).blobs
    assert list(blobs.pages()) == []
    blobs.delete_pages()
    assert [url for _, url in faults.sent if "runs/" in url] == []
    for name in (LINES, USERS, REPORT):
        put(container, name, b"another's")
    for name in ("report", "lines", "page"):
        with pytest.raises(LeaseLost):
            WRITES[name](blobs)
    assert {read(container, name) for name in (LINES, USERS, REPORT)} == {b"another's"}


def test_a_run_without_news_is_not_written_again(fire: Fire, faults: BlobFaults) -> None:
    """A document that would differ by its time only costs no request."""
    firing = fire()
    firing.blobs.save()
    faults.clear()
    firing.blobs.save()
    assert faults.sent == []
    firing.run.deferred = [ID]
    firing.blobs.save()
    firing.run.deferred.append(OTHER)
    firing.blobs.save()
    assert faults.count("PUT", "run.json") == 2


def test_a_firing_goes_on_where_the_last_one_ended(fire: Fire, container: ContainerClient) -> None:
    """The blobs of a resumed run are continued, and the report is written again."""
    first = fire().blobs
    first.append_page(PAGE)
    first.append_lines([{"id": ID}])
    first.save_report()
    run = a_run(firings=2)
    second = fire(run).blobs
    second.append_page(OTHER_PAGE)
    second.append_lines([{"id": OTHER}])
    second.save_report()
    second.save_report()

    assert [page["users"] for page in second.pages()] == [PAGE["users"], OTHER_PAGE["users"]]
    assert lines_of(container) == [{"id": ID}, {"id": OTHER}]
    assert json.loads(read(container, REPORT))["firings"] == 2
    second.delete_pages()
    assert names(container) == BLOBS[:3]


def test_a_listing_that_starts_again(fire: Fire) -> None:
    """After the listing was deleted there is none, and it can be written anew."""
    blobs = fire().blobs
    assert list(blobs.pages()) == []
    blobs.delete_pages()
    blobs.append_page(PAGE)
    blobs.delete_pages()
    blobs.delete_pages()
    assert list(blobs.pages()) == []
    blobs.append_page(OTHER_PAGE)
    assert list(blobs.pages()) == [OTHER_PAGE | {"schema": 1}]


def test_a_run_that_is_closed(app: App, fire: Fire, container: ContainerClient) -> None:
    """A run that nobody will finish gets a last report, and its listing is deleted."""
    first = fire()
    first.blobs.append_page(PAGE)
    first.blobs.save_report()
    old = a_run(status=INTERRUPTED, reason="too old")
    second = fire(a_run(id="s", started="2026-01-03T03:04:05.678Z"))
    close_run(app.checkpoint(), old, second.lease)
    assert json.loads(read(container, REPORT))["reason"] == "too old"
    assert names(container, "runs/") == [REPORT]


def test_lines_fit_the_blocks(fire: Fire, container: ContainerClient, faults: BlobFaults) -> None:
    """Blocks are at most 4 MiB and as few as can be, so that 50,000 are enough; no line is cut."""
    numbers = count()
    rest = 4 * 1024 * 1024 - 4 * len(json.dumps({"id": 0, "x": ""}, separators=(",", ":")) + "\n")
    fire().blobs.append_lines([{"id": next(numbers), "x": "x" * (rest // 4)} for _ in range(9)])

    assert faults.count("PUT", "comp=appendblock") == 3
    assert [line["id"] for line in lines_of(container)] == list(range(9))


def test_lines_of_a_window_are_one_block(fire: Fire, faults: BlobFaults) -> None:
    """A window costs one block: 50,000 of them are 20 million users."""
    fire().blobs.append_lines([{"id": n, "detail": "x" * 500} for n in range(400)])
    assert faults.count("PUT", "comp=appendblock") == 1


def test_a_line_that_is_a_block_of_its_own(
    fire: Fire, faults: BlobFaults, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is longer than a block is sent alone, and no empty block with it."""
    monkeypatch.setattr(run_blobs, "BLOCK_LIMIT_BYTES", 20)
    fire().blobs.append_lines([{"id": "x" * 30}, {"id": 1}, {"id": 2}])
    assert faults.count("PUT", "comp=appendblock") == 2
    assert len(lines_of(container)) == 3


# -- only one firing writes ----------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITES)
def test_who_slept_past_the_lease_sends_nothing(
    app: App, fire: Fire, faults: BlobFaults, name: str
) -> None:
    """Before each write a firing looks at its own clock: past the lease, no request goes out."""
    app.lease_clock = time = Time()
    blobs = fire().blobs
    blobs.append_page(PAGE)
    time.now += 56
    faults.clear()
    with pytest.raises(LeaseLost):
        WRITES[name](blobs)
    assert faults.sent == []


@pytest.mark.parametrize("resumed", [False, True], ids=["new run", "resumed run"])
@pytest.mark.parametrize("wrote", [False, True], ids=["before its first write", "after"])
@pytest.mark.parametrize("name", WRITES)
def test_a_frozen_firing_overwrites_nothing(
    fire: Fire, container: ContainerClient, name: str, *, wrote: bool, resumed: bool
) -> None:
    """B12: a firing that slept while another one took over changes nothing when it wakes up.

    It freezes between its look at the clock and a write, so that only the conditions are left.
    """
    if resumed:
        before = fire().blobs
        before.append_page(PAGE)
        before.append_lines([{"id": ID}])
        before.save_report()
    frozen = fire(a_run(id="frozen"))
    if wrote:
        frozen.blobs.append_page(PAGE)
        frozen.blobs.append_lines([{"id": ID}])
        frozen.blobs.save_report()
        frozen.blobs.save()
    other = fire(a_run(id="other"))
    other.blobs.append_page(OTHER_PAGE)
    other.blobs.append_lines([{"id": OTHER}])
    other.blobs.save_report()
    other.blobs.save()
    expected = all_of(container)

    for _ in range(2):
        if name == "delete" and not (wrote or resumed):
            # It knows of no listing, so there is none to delete.
            frozen.blobs.delete_pages()
        else:
            with pytest.raises(LeaseLost):
                WRITES[name](frozen.blobs)
    assert all_of(container) == expected

    for write in WRITES.values():
        write(other.blobs)


@pytest.mark.parametrize("name", ["page", "lines"])
def test_a_frozen_firing_brings_nothing_back(
    fire: Fire, container: ContainerClient, name: str
) -> None:
    """What another firing deleted stays deleted."""
    frozen = fire()
    WRITES[name](frozen.blobs)
    for blob in names(container, "runs/"):
        container.delete_blob(blob)
    with pytest.raises(LeaseLost, match="another firing changed it"):
        WRITES[name](frozen.blobs)
    assert names(container, "runs/") == []


def test_a_report_that_was_deleted(fire: Fire, container: ContainerClient) -> None:
    """A report that somebody deleted after this firing saw it is not brought back."""
    blobs = fire().blobs
    blobs.save_report()
    container.delete_blob(REPORT)
    with pytest.raises(LeaseLost, match="another firing wrote it"):
        blobs.save_report()
    assert names(container, "runs/") == []


def test_a_listing_that_another_firing_deleted(fire: Fire, container: ContainerClient) -> None:
    """Deleting what is gone is no error."""
    blobs = fire().blobs
    blobs.append_page(PAGE)
    container.delete_blob(USERS)
    blobs.delete_pages()
    assert names(container) == ["run.json"]


@pytest.mark.parametrize("name", ["page", "lines"])
def test_two_firings_that_append_in_turn(fire: Fire, container: ContainerClient, name: str) -> None:
    """Split brain: of two firings on one run, the first to append goes on alone."""
    first, second = fire().blobs, fire().blobs
    WRITES[name](second)
    expected = all_of(container)
    for _ in range(3):
        with pytest.raises(LeaseLost):
            WRITES[name](first)
    assert all_of(container) == expected
    WRITES[name](second)


def test_both_create_the_blob_at_once(
    fire: Fire, container: ContainerClient, faults: BlobFaults
) -> None:
    """Of two firings that create the lines at the same moment, one appends."""
    first, second = fire().blobs, fire().blobs

    def create_too() -> None:
        second.append_lines([{"id": OTHER}])

    faults.add("call", method="PUT", part="jsonl", nth=0, action=create_too)
    with pytest.raises(LeaseLost):
        first.append_lines([{"id": ID}])
    assert lines_of(container) == [{"id": OTHER}]


def test_lease_broken_between_two_writes(
    fire: Fire, container: ContainerClient, faults: BlobFaults
) -> None:
    """When an operator breaks the lease in the middle of a save, the run's document stays."""
    firing = fire()
    firing.blobs.save()
    before = read(container, "run.json")
    faults.add("call", method="PUT", part="run.json", action=lambda: end_lease(container))
    firing.run.cursor = ID
    with pytest.raises(LeaseLost, match=r"cannot write run\.json: Lease"):
        firing.blobs.save()
    assert read(container, "run.json") == before


def test_a_container_that_is_deleted_in_mid_run(fire: Fire, container: ContainerClient) -> None:
    """Nothing is created behind an operator's back; the message says what happened."""
    firing = fire()
    for write in WRITES.values():
        write(firing.blobs)
    container.delete_container(lease=None)
    for name, write in WRITES.items():
        if name == "delete":
            continue  # It knows that there is no listing.
        with pytest.raises(StateError, match="was deleted") as caught:
            write(firing.blobs)
        assert not isinstance(caught.value, LeaseLost)
