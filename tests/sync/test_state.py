"""The program on a checkpoint that is broken, newer, gone, or on storage that fails under it."""

import contextlib
import json
from collections.abc import Callable
from itertools import product

import pytest
from azure.core.exceptions import HttpResponseError

from shared import app
from shared.api import answer
from shared.errors import LeaseLost, NewerSchema, PhotoSyncError, StateError
from shared.sync import nightly
from tests.support.blob_faults import BlobFaults, end_lease, put
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.world import NIGHT_SECONDS, World, jpeg, outcomes

Make = Callable[..., World]

USERS = 3


@pytest.fixture
def synced(world: Make) -> tuple[World, Oracle]:
    """A world a night after everybody was written."""
    here = world(users=USERS, settled=True)
    oracle = Oracle(here)
    here.clock.advance(NIGHT_SECONDS)
    here.tenant.tape.clear()
    return here, oracle


def test_everything_broken(synced: tuple[World, Oracle]) -> None:
    """Promise 12: broken documents are set aside and rebuilt by reading; nothing is written."""
    here, oracle = synced
    container = here.app().container
    broken = ["run.json", *here.blobs("state/")]
    for name in broken:
        put(container, name, f"broken {name}".encode())

    run = here.fire()

    oracle.verify(run, broken=len(broken))
    assert outcomes(run) == {"unchanged": USERS}
    assert here.writes() == []
    kept = here.blobs("broken/")
    assert sorted(kept.values()) == sorted(f"broken {name}".encode() for name in broken)
    assert outcomes(here.night()) == {"unchanged": USERS}
    assert here.operations()["photo.bytes"] == 0
    assert here.blobs("broken/") == kept


def test_everything_gone(synced: tuple[World, Oracle]) -> None:
    """Promise 12: with the whole container gone, it is made again by reading alone."""
    here, oracle = synced
    here.app().container.delete_container()

    run = here.fire()

    oracle.verify(run)
    assert here.writes() == []
    assert len([record for record in here.records().values() if record.photo]) == USERS


def test_one_broken_record_spoils_no_other_shard(synced: tuple[World, Oracle]) -> None:
    """What is broken in one shard costs reading its users, and nobody else's."""
    here, oracle = synced
    victim = here.ids()[0]
    name = f"state/{victim[:2]}.json"
    shard = json.loads(here.blobs(name)[name])
    shard["users"][victim]["outcome"] = "exploded"
    put(here.app().container, name, json.dumps(shard).encode())

    run = here.fire()

    oracle.verify(run, broken=1)
    assert here.writes() == []
    assert here.operations()["photo.bytes"] == len(shard["users"])


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_broken_run_is_kept_by_a_dry_run_too(synced: tuple[World, Oracle], dry_run: str) -> None:
    """A run's document that is about to be replaced is kept before, whatever the mode."""
    here, _ = synced
    put(here.app().container, "run.json", b"broken")
    here.fire(DRY_RUN=dry_run)
    assert list(here.blobs("broken/").values()) == [b"broken"]


@pytest.mark.parametrize("blob", ["run.json", "state"])
def test_newer_documents_are_refused(synced: tuple[World, Oracle], blob: str) -> None:
    """A newer version's state ends run and call with a clear error; nothing at all is written."""
    here, oracle = synced
    user = here.ids()[0]
    name = blob if blob == "run.json" else f"state/{user[:2]}.json"
    put(here.app().container, name, b'{"schema":2}')
    here.tenant.directory.set_photo(user, jpeg())
    before = here.blobs("state/") | here.blobs("run.json")

    with pytest.raises(PhotoSyncError, match=rf"{name}: schema 2 comes from a newer version"):
        here.fire()
    if blob == "state":
        with pytest.raises(NewerSchema):
            here.call(user)

    assert here.writes() == []
    after = here.blobs("state/") | here.blobs("run.json")
    assert after[name] == before[name] == b'{"schema":2}'
    assert {n: d for n, d in after.items() if n != "run.json"} == {
        n: d for n, d in before.items() if n != "run.json"
    }
    assert here.blobs("broken/") == {}
    if blob == "run.json":
        assert here.tenant.tape.entries() == []
    here.app().container.delete_blob(name)
    oracle.verify(here.fire())


def test_a_newer_document_over_http(
    synced: tuple[World, Oracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told: 500, which blob, and what to do."""
    here, _ = synced
    user = here.ids()[0]
    put(here.app().container, f"state/{user[:2]}.json", b'{"schema":7}')
    monkeypatch.setattr(app, "CLOCK", here.clock)
    for name, value in here.settings.items():
        monkeypatch.setenv(name, value)

    for method in ("GET", "POST"):
        refused = answer(method, user, "http://host/api/sync/x")
        assert refused.status == 500
        assert f"state/{user[:2]}.json" in json.loads(refused.body)["detail"]


# -- storage fails in the middle -----------------------------------------------------------------

REQUESTS = [
    ("GET", "state/", 0),
    ("PUT", "state/", 0),
    ("PUT", "state/", USERS),
    ("PUT", "run.json?comp=lease", 0),
    ("GET", "run.json", 0),
    ("PUT", "run.json", 1),
    ("PUT", "run.json", 3),
    ("PUT", "Z.jsonl", 0),
    ("PUT", "comp=appendblock", 0),
    ("PUT", "Z.json", 2),
]
"""Every request that a run makes of storage: method, part of the URL, how many came before."""

FAULTS = [
    {"kind": "status", "status": 409, "code": "OperationNotAllowed", "times": 1},
    {"kind": "status", "status": 503, "code": "ServerBusy", "times": 4},
    {"kind": "timeout_after", "times": 4},
]


@pytest.mark.parametrize(("request_", "fault"), sample(product(REQUESTS, FAULTS), 4), ids=str)
def test_storage_fails(
    world: Make, faults: BlobFaults, request_: tuple[str, str, int], fault: dict[str, object]
) -> None:
    """Wherever storage fails: a typed error without a secret, no false claim, and it heals."""
    method, part, nth = request_
    here = world(users=USERS, settled=True)
    oracle = Oracle(here)
    here.clock.advance(NIGHT_SECONDS)
    for number, user in enumerate(here.ids()):
        here.tenant.directory.set_photo(user, jpeg((number, 20, 200), 100))
    oracle.look()
    planned = faults.add(method=method, part=part, nth=nth, **fault)

    error: Exception | None = None
    try:
        nightly.fire(here.app())
    except PhotoSyncError as caught:
        error = caught

    assert planned.fired
    faults.clear()
    assert error is None or isinstance(error.__cause__ or error, StateError)
    assert not isinstance(error, LeaseLost)
    assert "SECRET" not in str(error)
    assert oracle.false_claims() == []
    here.clock.advance(900)
    if error and "take the lease" in str(error):
        # It was given, though nobody heard of it; a minute later it is free again.
        with contextlib.suppress(HttpResponseError):
            end_lease(here.app().container)
    oracle.verify(here.fire())
    assert outcomes(here.night()) == {"unchanged": USERS}
    assert here.writes() == []
