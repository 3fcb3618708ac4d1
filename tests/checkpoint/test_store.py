"""The state on real storage: conditional writes, merges, broken and newer documents."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from local.support.azurite import Azurite
from shared.app import App
from shared.checkpoint.documents import iso
from shared.checkpoint.records import Missing, Photo, Record, dump_shard
from shared.checkpoint.store import SAVE_ATTEMPTS, Checkpoint, Shard, shard_of
from shared.errors import NewerSchema, StateConflict, StateError
from shared.model import Outcome, ThumbnailLocation
from tests.support.blob_faults import ID, OTHER, BlobFaults, names, program, put, read, record

BLOB = "state/6e.json"
NOW = 1_790_000_000.0
PLACE = ThumbnailLocation("https://contoso-my.sharepoint.com", "Profile Pictures", ID)


def users(container: ContainerClient) -> dict[str, Any]:
    """The users of the shard, as it is stored."""
    return dict(json.loads(read(container, BLOB))["users"])


# -- the container -------------------------------------------------------------------------------


def test_a_missing_container_is_created(azurite: Azurite) -> None:
    """The container is made when it is missing, private, and once; several may try at once."""
    app = program(azurite)
    start, failures = threading.Barrier(4), list[Exception]()

    def prepare() -> None:
        start.wait()
        try:
            app.checkpoint().prepare()
        except StateError as error:
            failures.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert app.container.exists()
    assert app.container.get_container_properties().public_access is None


@pytest.mark.parametrize(("code", "works"), [("ContainerAlreadyExists", 1), ("Other", 0)])
def test_created_by_another_meanwhile(
    azurite: Azurite, faults: BlobFaults, code: str, works: int
) -> None:
    """That another one was faster is no error; any other conflict is."""
    app = program(azurite)
    faults.add("status", method="PUT", part="restype=container", status=409, code=code)
    if works:
        app.checkpoint().prepare()
    else:
        with pytest.raises(StateError, match="create the container: Other"):
            app.checkpoint().prepare()


def test_a_container_that_vanished(azurite: Azurite) -> None:
    """A container that is gone in the middle of a run is an error, not an empty state."""
    checkpoint = program(azurite).checkpoint()
    with pytest.raises(StateError, match="ContainerNotFound"):
        checkpoint.load("6e")
    with pytest.raises(StateError, match="ContainerNotFound"):
        checkpoint.save(Shard("6e", None, {}), {ID: record(1)})


# -- shards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user_id", "name"), [(ID, "6e"), ("00" + ID[2:], "00")])
def test_shards_by_the_first_two_digits(user_id: str, name: str) -> None:
    """A user is in the shard of the first two digits of the object id."""
    assert name == shard_of(user_id)


def test_a_missing_shard_is_empty(checkpoint: Checkpoint) -> None:
    """No blob, no records."""
    assert checkpoint.load("6e") == Shard("6e", None, {})


def test_saved_and_read_back(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """Records are in the blob of their shard, with a schema, as JSON."""
    saved, disputed = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})

    assert saved == checkpoint.load("6e")
    assert saved.records == {ID: record(1, "A")}
    assert not disputed
    assert json.loads(read(container, BLOB))["schema"] == 1
    properties = container.get_blob_client(BLOB).get_blob_properties()
    assert properties.content_settings.content_type == "application/json"


def test_saved_again_over_what_was_saved(checkpoint: Checkpoint, faults: BlobFaults) -> None:
    """What a save returns is what the next one may be made over, without reading again."""
    first, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})
    faults.clear()
    second, _ = checkpoint.save(first, {OTHER: record(2, "B")})

    assert second == checkpoint.load("6e")
    assert second.records == {ID: record(1, "A"), OTHER: record(2, "B")}
    assert (faults.count("PUT", BLOB), faults.count("GET", BLOB)) == (1, 1)


def test_nothing_new_is_checked_all_the_same(checkpoint: Checkpoint) -> None:
    """Saving what was read is no news, but tells whether another writer came between."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "")})
    assert checkpoint.save(base, {ID: record(1, "")})[1] == set()

    base = checkpoint.load("6e")
    checkpoint.save(base, {ID: record(2, "A")})

    saved, disputed = checkpoint.save(base, {ID: record(1, "")})
    assert saved.records == {ID: record(2, "")}
    assert disputed == {ID}


def test_what_another_says_already_is_not_written(
    checkpoint: Checkpoint, faults: BlobFaults
) -> None:
    """When the other writer's record stands, there is nothing to write."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})
    checkpoint.save(base, {ID: record(3, "B")})
    faults.clear()
    assert checkpoint.save(base, {ID: record(2, "A")})[0].records == {ID: record(3, "B")}
    assert faults.count("PUT", BLOB) == 1


def test_a_record_is_dropped(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """None drops a record, and one that somebody changed meanwhile is kept and disputed."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A"), OTHER: record(1, "O")})
    checkpoint.save(base, {OTHER: record(2, "N")})

    saved, disputed = checkpoint.save(base, {ID: None, OTHER: None})

    assert list(users(container)) == [OTHER]
    assert saved == checkpoint.load("6e")
    assert disputed == {OTHER}


def test_a_dropped_record_whose_response_was_lost(
    checkpoint: Checkpoint, container: ContainerClient, faults: BlobFaults
) -> None:
    """Our own drop, sent again by the library, is no conflict."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A"), OTHER: record(1, "O")})
    faults.add("timeout_after", method="PUT", part=BLOB)
    saved, disputed = checkpoint.save(base, {ID: None})
    assert list(saved.records) == list(users(container)) == [OTHER]
    assert not disputed


def test_a_dry_run_saves_no_records(app: App, container: ContainerClient) -> None:
    """A read-only checkpoint leaves the records as they are, whatever is decided."""
    app.checkpoint().save(Shard("6e", None, {}), {ID: record(1, "A"), OTHER: record(1, "O")})
    before = read(container, BLOB)
    dry = app.checkpoint(read_only=True)
    shard = dry.load("6e")
    assert dry.save(shard, {ID: record(2, "B"), OTHER: None}) == (shard, set())
    assert dry.load("6e") == shard
    assert read(container, BLOB) == before
    assert names(container) == [BLOB]


def test_a_dry_run_remembers_what_a_run_decides_by(
    app: App, container: ContainerClient, faults: BlobFaults
) -> None:
    """Photos that are missing and users who left count in a dry run as in a real one.

    Nothing else is remembered, and nothing is written, not by the next dry run either.
    """
    app.checkpoint().save(Shard("6e", None, {}), {ID: record(1, "A"), OTHER: record(1, "O")})
    missing = replace(record(1, "A"), missing=Missing(1, "r"))
    left = replace(record(1, "O"), left_on="2026-01-02")
    dry = app.checkpoint(read_only=True)
    faults.clear()

    first, disputed = dry.save(dry.load("6e"), {ID: missing})
    assert (first.records, disputed) == ({ID: missing, OTHER: record(1, "O")}, set())
    second, _ = dry.save(first, {OTHER: left})
    assert second.records == {ID: missing, OTHER: left}
    assert dry.load("6e") == second
    assert dry.load("00").records == {}

    assert faults.count("PUT", "") == 0
    assert app.checkpoint(read_only=True).load("6e").records[ID].missing is None
    assert names(container) == [BLOB]


def test_the_shards_that_there_are(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """Only blobs that are named as shards are shards; their size is known."""
    for name in ("state/6e.json", "state/00.json", "state/6E.json", "state/6e.json.bak"):
        put(container, name, b"{ }" if name == "state/00.json" else b"{}")
    put(container, "state/xx.json", b"{}")
    put(container, "broken/state-6e.json-0", b"{}")
    assert checkpoint.shards() == {"00": 3, "6e": 2}


def test_what_a_user_takes_in_storage() -> None:
    """A user takes less than a kilobyte, so that a shard of a million users is read in one go."""
    photo = Photo('"' + "E" * 44 + '"', "ab" * 32, replace(PLACE, prefix=ID))
    full = Record(
        "first.middle.last@subsidiary.contoso.com",
        Outcome.UNCHANGED,
        iso(NOW),
        "f" * 32,
        photo=photo,
        verified_at=iso(NOW),
        verify_on="2026-01-31",
    )
    ids = [f"6e{n:06x}-0000-4000-8000-000000000000" for n in range(100)]
    size = len(dump_shard(dict.fromkeys(ids, full))) / len(ids)
    assert size < 600
    assert size * 1_000_000 / 256 < 3 * 1024 * 1024


Meddle = Callable[[Checkpoint, Shard], Any]


def other_user(checkpoint: Checkpoint, shard: Shard) -> None:
    checkpoint.save(shard, {OTHER: record(9, "O")})


def newer(checkpoint: Checkpoint, shard: Shard) -> None:
    checkpoint.save(shard, {ID: record(9, "N")})


def older(checkpoint: Checkpoint, shard: Shard) -> None:
    checkpoint.save(shard, {ID: record(1, "N")})


def newer_note(checkpoint: Checkpoint, shard: Shard) -> None:
    checkpoint.save(shard, {ID: record(9, "A", outcome="failed")})


NOTE = record(2, "A", outcome="unchanged")
"""What we save when we did not touch SharePoint."""

WRITE = record(2, "B")
"""What we save when we wrote another photo."""


@pytest.mark.parametrize(
    ("meddle", "ours", "expected", "disputed"),
    [
        (other_user, WRITE, {ID: WRITE, OTHER: record(9, "O")}, set()),
        (newer_note, NOTE, {ID: record(9, "A", outcome="failed")}, set()),
        (newer_note, WRITE, {ID: WRITE}, set()),
        (newer, NOTE, {ID: record(9, "N")}, set()),
        (older, NOTE, {ID: record(1, "N")}, set()),
        (newer, WRITE, {ID: record(9, "")}, {ID}),
        (older, WRITE, {ID: record(2, "")}, {ID}),
    ],
)
def test_another_writer_was_faster(
    checkpoint: Checkpoint, meddle: Meddle, ours: Record, expected: object, disputed: set[str]
) -> None:
    """On 412 the shard is read again and merged by user; who wrote another photo is disputed."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})
    meddle(checkpoint, base)

    saved, found = checkpoint.save(base, {ID: ours})

    assert saved == checkpoint.load("6e")
    assert saved.records == expected
    assert found == disputed


def test_another_writer_made_the_shard(checkpoint: Checkpoint) -> None:
    """Two first writers: the second does not overwrite the first."""
    empty = checkpoint.load("6e")
    checkpoint.save(empty, {OTHER: record(1, "A")})

    saved, disputed = checkpoint.save(empty, {ID: record(2, "B")})

    assert saved.records == {ID: record(2, "B"), OTHER: record(1, "A")}
    assert not disputed


def test_the_shard_was_deleted_meanwhile(
    checkpoint: Checkpoint, container: ContainerClient
) -> None:
    """What was deleted is not brought back but for what is saved now."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A"), OTHER: record(1, "O")})
    container.delete_blob(BLOB)

    saved, _ = checkpoint.save(base, {ID: record(2, "B")})

    assert saved.records == checkpoint.load("6e").records == {ID: record(2, "B")}


def test_many_writers_lose_nothing(app: App, container: ContainerClient) -> None:
    """Four hosts at once on one shard: every record of every one is there in the end.

    Each can lose to at most nine writes of the others, which is fewer than it tries.
    """
    assert SAVE_ATTEMPTS > 3 * 3
    start = threading.Barrier(4)

    def write(host: int) -> None:
        checkpoint = app.checkpoint()
        shard = checkpoint.load("6e")
        start.wait()
        for number in range(3):
            user = f"6e{host:02d}{number:04d}-0000-4000-8000-000000000000"
            shard, _ = checkpoint.save(shard, {user: record(host, "A")})

    threads = [threading.Thread(target=write, args=(host,)) for host in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(users(container)) == 12


def test_a_shard_that_never_rests(checkpoint: Checkpoint, faults: BlobFaults) -> None:
    """After a bounded number of attempts saving gives up with an error, and overwrites nothing."""
    faults.add("status", method="PUT", part=BLOB, times=99, status=412, code="ConditionNotMet")
    with pytest.raises(StateConflict, match=BLOB):
        checkpoint.save(checkpoint.load("6e"), {ID: record(1)})
    assert faults.count("PUT", BLOB) == SAVE_ATTEMPTS


# -- our own write, whose answer never came ------------------------------------------------------


@pytest.mark.parametrize("existing", [False, True])
def test_own_write_repeated_by_the_library(
    checkpoint: Checkpoint, container: ContainerClient, faults: BlobFaults, existing: bool
) -> None:
    """A write that arrived though its answer was lost is neither a conflict nor a dispute."""
    base = checkpoint.load("6e")
    if existing:
        base, _ = checkpoint.save(base, {ID: record(1, "A")})
    lost = faults.add("timeout_after", method="PUT", part=BLOB)

    saved, disputed = checkpoint.save(base, {ID: record(2, "B")})

    assert lost.fired == 1
    assert not disputed
    assert saved == checkpoint.load("6e")
    faults.clear()
    checkpoint.save(saved, {ID: record(3, "C")})
    assert faults.count("PUT", BLOB) == 1
    assert users(container)[ID]["photo"]["sha256"] == "C"


# -- broken, newer, older ------------------------------------------------------------------------


def test_a_broken_shard_is_set_aside_once(
    checkpoint: Checkpoint, container: ContainerClient, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read is kept under broken/ as it is, once, and counts as empty."""
    put(container, BLOB, b'{"schema":1,"users":')

    with caplog.at_level(logging.ERROR):
        shards = [checkpoint.load("6e") for _ in range(3)]

    assert all(shard.records == {} for shard in shards)
    (kept,) = names(container, "broken/")
    assert kept.startswith("broken/state-6e.json-")
    assert read(container, kept) == read(container, BLOB) == b'{"schema":1,"users":'
    assert kept in caplog.text


def test_two_broken_shards_are_both_kept(
    checkpoint: Checkpoint, container: ContainerClient
) -> None:
    """What breaks again, in another way, does not overwrite what was kept before."""
    for data in (b"first", b"second"):
        put(container, BLOB, data)
        checkpoint.load("6e")
    kept = [read(container, name) for name in names(container, "broken/")]
    assert sorted(kept) == [b"first", b"second"]


def test_a_broken_shard_is_replaced_only_as_it_was(
    checkpoint: Checkpoint, container: ContainerClient
) -> None:
    """When somebody repairs a broken blob meanwhile, the repair stays."""
    put(container, BLOB, b"broken")
    base = checkpoint.load("6e")
    put(container, BLOB, dump_shard({OTHER: record(1, "O")}))

    saved, _ = checkpoint.save(base, {ID: record(2, "B")})

    assert saved.records == {ID: record(2, "B"), OTHER: record(1, "O")}


def test_a_broken_shard_is_replaced_by_what_is_known(
    checkpoint: Checkpoint, container: ContainerClient
) -> None:
    """The next save makes it good again."""
    put(container, BLOB, b"broken")
    checkpoint.save(checkpoint.load("6e"), {ID: record(2, "B")})
    assert list(users(container)) == [ID]


def test_a_newer_shard_is_refused(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """A newer version's document is named, and neither changed nor set aside."""
    data = b'{"schema":2,"users":{}}'
    put(container, BLOB, data)

    with pytest.raises(NewerSchema, match=r"state/6e\.json: schema 2 comes from a newer version"):
        checkpoint.load("6e")

    assert read(container, BLOB) == data
    assert names(container) == [BLOB]


def test_a_shard_made_newer_meanwhile(checkpoint: Checkpoint, container: ContainerClient) -> None:
    """A newer version that started during our run is not overwritten either."""
    base, _ = checkpoint.save(checkpoint.load("6e"), {ID: record(1, "A")})
    data = b'{"schema":2,"users":{}}'
    put(container, BLOB, data)

    with pytest.raises(NewerSchema):
        checkpoint.save(base, {ID: record(2, "B")})

    assert read(container, BLOB) == data
