"""The run, its lease and its reports on real storage; and everything while storage fails."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared.app import App
from shared.checkpoint.records import iso
from shared.checkpoint.runs import Run
from shared.checkpoint.store import Checkpoint, Shard
from shared.errors import LeaseLost, NewerSchema, StateError
from tests.support.blob_faults import ID, OTHER, BlobFaults, end_lease, names, put, read, record

BLOB = "state/6e.json"
STARTED = "2026-01-02T03:04:05.678Z"


def a_run(**fields: Any) -> Run:
    """A run."""
    values: dict[str, Any] = {"id": "r", "version": "1", "trigger": "timer", "mode": "sync"}
    return Run(**values | {"scope": "all", "started": STARTED} | fields)


# -- the run -------------------------------------------------------------------------------------


def test_the_run_is_written_under_its_lease(app: App, container: ContainerClient) -> None:
    """Who has no lease cannot write run.json, and who has can; `updated` says when."""
    checkpoint = app.checkpoint()
    assert checkpoint.run() is None
    with checkpoint.lease() as lease:
        assert lease is not None
        assert checkpoint.run() is None
        checkpoint.save_run(a_run(cursor=ID), lease)
        with app.checkpoint().lease() as second:
            assert second is None

    found = checkpoint.run()
    assert found is not None
    assert found.cursor == ID
    assert found.updated == iso(app.clock.time())
    assert json.loads(read(container, "run.json"))["schema"] == 1


def test_a_lease_given_up_writes_nothing(app: App, container: ContainerClient) -> None:
    """Another run that took over is not overwritten."""
    checkpoint = app.checkpoint()
    with checkpoint.lease() as lost:
        assert lost is not None
        end_lease(container)
        with app.checkpoint().lease() as lease:
            assert lease is not None
            checkpoint.save_run(a_run(id="second"), lease)
            with pytest.raises(LeaseLost, match=r"write run\.json"):
                checkpoint.save_run(a_run(id="first"), lost)
    found = checkpoint.run()
    assert found is not None
    assert found.id == "second"


def test_a_broken_run_is_set_aside(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """A run.json that is no run is kept, and there is no run."""
    put(container, "run.json", b'{"schema":1,"status":"running"}')
    assert checkpoint.run() is None
    (kept,) = names(container, "broken/")
    assert kept.startswith("broken/run.json-")


def test_a_newer_run_is_refused(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """A newer version's run is neither read nor changed, also under the lease."""
    data = b'{"schema":2}'
    put(container, "run.json", data)
    with (
        pytest.raises(NewerSchema, match=r"run\.json: written with schema 2"),
        checkpoint.lease(),
    ):
        checkpoint.run()
    assert read(container, "run.json") == data


@pytest.mark.parametrize(("code", "status"), [("BlobAlreadyExists", 409), ("LeaseIdMissing", 412)])
def test_the_first_run_of_two_hosts(
    checkpoint: Checkpoint, container: ContainerClient, faults: BlobFaults, code: str, status: int
) -> None:
    """That another host made run.json first, or leased it already, is no error."""
    put(container, "run.json", b'{"schema":1,"status":"none"}')
    faults.add("status", method="HEAD", part="run.json", status=404, code="BlobNotFound")
    faults.add("status", method="PUT", part="run.json", status=status, code=code)
    with checkpoint.lease() as lease:
        assert lease is not None


# -- reports -------------------------------------------------------------------------------------


def test_reports_are_named_by_the_start(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """Report and lines stand under runs/, named by when the run started."""
    run = a_run(in_scope=1, counts={"updated": 1})
    checkpoint.save_report(run)
    checkpoint.append_lines(run, [{"id": ID, "outcome": "updated"}])
    checkpoint.append_lines(run, [])
    checkpoint.append_lines(run, [{"id": OTHER, "userPrincipalName": "ü\ud800@x", "outcome": "x"}])

    assert names(container, "runs/") == [f"runs/{STARTED}.json", f"runs/{STARTED}.jsonl"]
    assert json.loads(read(container, f"runs/{STARTED}.json")) == run.to_json()
    lines = read(container, f"runs/{STARTED}.jsonl").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [ID, OTHER]
    assert container.get_blob_client(f"runs/{STARTED}.jsonl").get_blob_properties().blob_type == (
        "AppendBlob"
    )


def test_lines_fit_the_blocks(
    checkpoint: Checkpoint, container: ContainerClient, faults: BlobFaults
) -> None:
    """Blocks are at most 4 MiB and as few as can be, so that 50,000 are enough; no line is cut."""
    numbers = count()
    lines = [{"id": next(numbers), "detail": "x" * 1_000_000} for _ in range(9)]
    checkpoint.append_lines(a_run(), lines)

    assert faults.count("PUT", "comp=appendblock") == 3
    stored = read(container, f"runs/{STARTED}.jsonl").splitlines()
    assert [json.loads(line)["id"] for line in stored] == list(range(9))


def test_lines_of_a_slice_are_one_block(checkpoint: Checkpoint, faults: BlobFaults) -> None:
    """A slice costs one block: 50,000 of them are 20 million users."""
    checkpoint.append_lines(a_run(), [{"id": n, "detail": "x" * 500} for n in range(400)])
    assert faults.count("PUT", "comp=appendblock") == 1


def test_lines_that_cannot_be_appended(checkpoint: Checkpoint, faults: BlobFaults) -> None:
    """An error that is no sign of another writer is told."""
    faults.add("status", method="PUT", part="jsonl", status=409, code="InvalidBlobType")
    with pytest.raises(StateError, match="append to the report: InvalidBlobType"):
        checkpoint.append_lines(a_run(), [{"id": ID}])


# -- faults --------------------------------------------------------------------------------------

PASSING = [
    {"kind": "status", "status": 503, "code": "ServerBusy"},
    {"kind": "status", "status": 500, "code": "InternalError"},
    {"kind": "timeout_before"},
    {"kind": "timeout_after"},
    {"kind": "refused"},
]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_passing_faults(
    app: App, faults: BlobFaults, method: str, fault: dict[str, object]
) -> None:
    """A fault that passes is waited for on the program's clock, and all is as if it never was."""
    planned = faults.add(method=method, times=2, **fault)
    checkpoint = app.checkpoint()
    before = app.clock.time()

    with checkpoint.lease() as lease:
        assert lease is not None
        saved, disputed = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})
        checkpoint.save_run(a_run(), lease)
        checkpoint.save_report(a_run())
    checkpoint.append_lines(a_run(), [{"id": ID}])

    assert planned.fired == 2
    assert app.clock.time() > before
    assert not disputed
    assert saved == checkpoint.load("6e")


@pytest.mark.parametrize(
    "fault",
    [
        *PASSING,
        {"kind": "status", "status": 403, "code": "AuthorizationPermissionMismatch"},
        {"kind": "status", "status": 409, "code": "BlobBeingRehydrated"},
        {"kind": "status", "status": 412, "code": "LeaseLost"},
        {"kind": "status", "status": 404, "code": "ContainerNotFound"},
        {"kind": "status", "status": 418},
    ],
)
@pytest.mark.parametrize(
    "work",
    [
        lambda c: c.prepare(),
        lambda c: c.load("6e"),
        lambda c: c.save(Shard("6e", None, {}), {ID: record(1)}),
        lambda c: c.run(),
        lambda c: c.lease().__enter__(),
        lambda c: c.save_report(a_run()),
        lambda c: c.append_lines(a_run(), [{"id": ID}]),
    ],
    ids=["prepare", "load", "save", "run", "lease", "report", "lines"],
)
def test_lasting_faults(
    app: App, faults: BlobFaults, work: Callable[[Checkpoint], object], fault: dict[str, object]
) -> None:
    """A fault that lasts is a typed error, with what to look at and no secret anywhere in it."""
    faults.add(times=999, **fault)

    with pytest.raises(StateError) as caught:
        work(app.checkpoint())

    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    if not isinstance(caught.value, LeaseLost):
        assert "Storage Blob Data Owner" in str(caught.value)


def test_rights_are_probed_without_a_trace(
    app: App, container: ContainerClient, faults: BlobFaults
) -> None:
    """Whether blobs may be written is known without writing one, to a full container and not."""
    app.checkpoint().probe()
    assert names(container) == []
    put(container, "run.json", b"precious")
    app.checkpoint().probe()
    assert read(container, "run.json") == b"precious"

    faults.add("status", method="PUT", status=403, code="AuthorizationPermissionMismatch")
    with pytest.raises(StateError, match="AuthorizationPermissionMismatch"):
        app.checkpoint().probe()
