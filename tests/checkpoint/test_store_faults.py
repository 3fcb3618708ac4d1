"""The run and its lease on real storage, and everything of the checkpoint while storage fails."""

import base64
import json
import re
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from local.support.azurite import Azurite
from shared.app import App
from shared.checkpoint.blobs import storage_errors
from shared.checkpoint.documents import iso
from shared.checkpoint.run_blobs import RunBlobs
from shared.checkpoint.runs import Run
from shared.checkpoint.store import Checkpoint, Shard
from shared.errors import LeaseLost, NewerSchema, StateError, TokenUnavailable
from tests.support.blob_faults import (
    ID,
    BlobFaults,
    end_lease,
    names,
    program,
    put,
    read,
    record,
)

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
        RunBlobs(checkpoint, a_run(cursor=ID), lease).save()
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
        first = RunBlobs(checkpoint, a_run(id="first"), lost)
        end_lease(container)
        with pytest.raises(LeaseLost, match=r"write run\.json"):
            first.save()
        with app.checkpoint().lease() as lease:
            assert lease is not None
            RunBlobs(checkpoint, a_run(id="second"), lease).save()
            with pytest.raises(LeaseLost, match=r"write run\.json: .*another (run|firing)"):
                first.save()
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
        pytest.raises(NewerSchema, match=r"run\.json: schema 2 comes from a newer version"),
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
    faults.add("status", method="PUT", part="comp=lease", status=404, code="BlobNotFound")
    faults.add("status", method="PUT", part="run.json", status=status, code=code)
    with checkpoint.lease() as lease:
        assert lease is not None
        assert faults.count("PUT", "comp=lease") == 2


# -- faults --------------------------------------------------------------------------------------

PASSING = [
    {"kind": "status", "status": 503, "code": "ServerBusy"},
    {"kind": "status", "status": 500, "code": "InternalError"},
    {"kind": "timeout_before"},
    {"kind": "timeout_after"},
    {"kind": "refused"},
]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_passing_faults(
    app: App,
    container: ContainerClient,
    faults: BlobFaults,
    method: str,
    fault: dict[str, object],
) -> None:
    """A fault that passes is waited for on the program's clock, and all is as if it never was."""
    planned = faults.add(method=method, times=2, **fault)
    checkpoint = app.checkpoint()
    before = app.clock.time()

    with checkpoint.lease() as lease:
        assert lease is not None
        saved, disputed = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})
        blobs = RunBlobs(checkpoint, a_run(), lease)
        blobs.append_page({"users": []})
        blobs.save()
        blobs.append_lines([{"id": ID}])
        blobs.save_report()
        blobs.delete_pages()

    assert planned.fired == 2
    assert app.clock.time() > before
    assert not disputed
    assert saved == checkpoint.load("6e")
    assert names(container, "runs/") == [f"runs/{STARTED}.json", f"runs/{STARTED}.jsonl"]
    assert read(container, f"runs/{STARTED}.jsonl").count(b"\n") == 1


Stage = tuple[Checkpoint, RunBlobs]
Work = Callable[[Checkpoint, RunBlobs], object]


@pytest.fixture
def stage(app: App) -> Iterator[Stage]:
    """A checkpoint, and the blobs of a run that has a listing."""
    checkpoint = app.checkpoint()
    with checkpoint.lease() as lease:
        assert lease
        blobs = RunBlobs(checkpoint, a_run(), lease)
        blobs.append_page({"users": []})
        yield app.checkpoint(), blobs


REACH, ROLE, KEY, GONE, HEALTH = (
    "cannot be reached: is its name right, is it running",
    "Storage Blob Data Owner",
    "refuses the credential",
    "was deleted",
    "see its metrics",
)


WORK: dict[str, Work] = {
    "prepare": lambda c, _: c.prepare(),
    "probe": lambda c, _: c.probe(),
    "shards": lambda c, _: c.shards(),
    "load": lambda c, _: c.load("6e"),
    "save": lambda c, _: c.save(Shard("6e", None, {}), {ID: record(1)}),
    "run": lambda c, _: c.run(),
    "lease": lambda c, _: c.lease().__enter__(),
    "save run": lambda _, b: b.save(),
    "report": lambda _, b: b.save_report(),
    "lines": lambda _, b: b.append_lines([{"id": ID}]),
    "page": lambda _, b: b.append_page({"users": []}),
    "pages": lambda _, b: list(b.pages()),
    "delete pages": lambda _, b: b.delete_pages(),
}


def _status(status: int, code: str = "") -> dict[str, object]:
    return {"kind": "status", "status": status, "code": code}


EVERYWHERE = [
    (_status(503, "ServerBusy"), HEALTH),
    ({"kind": "timeout_before"}, REACH),
    (_status(404, "ContainerNotFound"), GONE),
]
"""One of each way in which the library raises."""

IN_ONE_PLACE = [
    (_status(500, "InternalError"), HEALTH),
    ({"kind": "refused"}, REACH),
    (_status(403, "AuthorizationPermissionMismatch"), ROLE),
    # Storage is opened by a key here, which needs no role.
    (_status(403, "AuthorizationFailure"), KEY),
    (_status(403, "AuthenticationFailed"), KEY),
    (_status(401, "InvalidAuthenticationInfo"), KEY),
    (_status(409, "BlobBeingRehydrated"), HEALTH),
    (_status(409, "ContainerBeingDeleted"), GONE),
    (_status(412, "LeaseLost"), "another run took over"),
    (_status(418), HEALTH),
]


@pytest.mark.parametrize(
    ("work", "fault", "remedy"),
    [
        *((work, fault, remedy) for work in WORK for fault, remedy in EVERYWHERE),
        *((work, fault, remedy) for work in ("load", "lines") for fault, remedy in IN_ONE_PLACE),
    ],
)
def test_lasting_faults(
    stage: Stage, faults: BlobFaults, work: str, fault: dict[str, object], remedy: str
) -> None:
    """A fault that lasts is a typed error that names its own cause, and no secret in it."""
    faults.add(times=999, **fault)

    with pytest.raises(StateError, match=remedy) as caught:
        WORK[work](*stage)

    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, LeaseLost) == (fault.get("code") == "LeaseLost")


def test_a_wrong_key(azurite: Azurite) -> None:
    """C4: a key that storage refuses is named as what it is, and the key is not told."""
    wrong = base64.b64encode(b"wrong key").decode()
    connection = re.sub("AccountKey=[^;]*", f"AccountKey={wrong}", azurite.connection_string)
    app = program(azurite, AzureWebJobsStorage=connection)
    with pytest.raises(StateError, match=KEY) as caught:
        app.checkpoint().prepare()
    assert wrong not in str(caught.value)


def test_storage_is_not_running(azurite: Azurite) -> None:
    """C4: storage that nobody answers for is named as that, in seconds of the program's clock."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
        connection = re.sub("BlobEndpoint=[^;]*;", endpoint, azurite.connection_string)
        app = program(azurite, AzureWebJobsStorage=connection)
        with pytest.raises(StateError, match=REACH):
            app.checkpoint().prepare()


@pytest.mark.parametrize(
    ("header", "remedy"), [("Bearer x", ROLE), ("SharedKey x", KEY), ("", KEY)]
)
def test_refused_with_a_token_or_with_a_key(header: str, remedy: str) -> None:
    """Only an identity can lack a role: the same code means a wrong key where there is a key."""
    error = HttpResponseError("sig=SECRET")
    error.error_code = "AuthorizationFailure"  # type: ignore[attr-defined]
    headers = {"Authorization": header} if header else {}
    error.response = SimpleNamespace(request=SimpleNamespace(headers=headers))
    with pytest.raises(StateError, match=remedy), storage_errors("read"):
        raise error


def test_no_identity(azurite: Azurite) -> None:
    """C4: without an identity it is the identity that is named, not a role."""
    app = program(
        azurite,
        AzureWebJobsStorage="",
        AzureWebJobsStorage__accountName="contosostorage",
        AzureWebJobsStorage__credential="managedidentity",
    )
    with pytest.raises(TokenUnavailable) as caught:
        app.checkpoint().prepare()
    assert "role" not in str(caught.value)


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
