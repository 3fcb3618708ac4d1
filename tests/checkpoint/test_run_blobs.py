"""The blobs of one run: who may write them, lost responses, a listing that is broken."""

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient
from requests.adapters import HTTPAdapter

from shared.app import App
from shared.checkpoint import run_blobs
from shared.checkpoint.documents import iso
from shared.checkpoint.run_blobs import RunBlobs, close_run, read_users
from shared.checkpoint.runs import INTERRUPTED, Run
from shared.errors import BrokenState, LeaseLost, NewerSchema, StateError
from shared.model import Outcome
from tests.support.blob_faults import ID, OTHER, BlobFaults, end_lease, names, put, read

STARTED = "2026-01-02T03:04:05.678Z"
REPORT = f"runs/{STARTED}.json"
LINES = f"runs/{STARTED}.jsonl"
USERS = f"runs/{STARTED}.users"
BLOBS = ["run.json", REPORT, LINES, USERS]
NAMES = {"run": "run.json", "report": REPORT}

PAGE = {"of": "users", "users": [[ID, "a@contoso.com"]], "next": None}
OTHER_PAGE = {"of": "users", "users": [[OTHER, "b@contoso.com"]], "next": None}


def a_run(**fields: Any) -> Run:
    """A run."""
    values: dict[str, Any] = {"id": "r", "version": "1", "trigger": "timer", "mode": "sync"}
    return Run(**values | {"scope": "all", "started": STARTED} | fields)


class Time:
    """The lease's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Firing:
    """A firing that holds the lease; its clock stands still, as if it never slept."""

    def __init__(self, app: App, stack: ExitStack, run: Run) -> None:
        self.run = run
        checkpoint = app.checkpoint()
        lease = stack.enter_context(checkpoint.lease())
        assert lease is not None
        self.lease = lease
        self.blobs = RunBlobs(checkpoint, run, lease)


Fire = Callable[..., Firing]


@pytest.fixture
def fire(app: App) -> Iterator[Fire]:
    """Makes a firing; it takes the lease away from the one before, as its end would."""
    with ExitStack() as stack:
        made = list[Firing]()

        def make(run: Run | None = None) -> Firing:
            if made:
                end_lease(app.container)
            made.append(Firing(app, stack, run or a_run()))
            return made[-1]

        yield make


def all_of(container: ContainerClient) -> dict[str, bytes]:
    """Every blob's content."""
    return {name: read(container, name) for name in names(container)}


def lines_of(container: ContainerClient) -> list[Any]:
    """The report's lines."""
    return [json.loads(line) for line in read(container, LINES).splitlines()]


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

Write = Callable[[RunBlobs], object]
WRITES: dict[str, Write] = {
    "run": lambda blobs: blobs.save(),
    "report": lambda blobs: blobs.save_report(),
    "lines": lambda blobs: blobs.append_lines([{"id": ID, "of": "frozen"}]),
    "page": lambda blobs: blobs.append_page(PAGE),
    "delete": lambda blobs: blobs.delete_pages(),
}


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


# -- our own write, whose response was lost ------------------------------------------------------


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


# -- a listing that is broken --------------------------------------------------------------------


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
