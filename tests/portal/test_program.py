"""The portal on the whole program, with the emulated tenant and storage."""

import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobClient, StorageErrorCode
from PIL import Image

from local.tenant import Fault
from local.tenant.pictures import Gallery
from shared.errors import PermissionMissing, StateError, UserUnknown
from shared.graph import directory
from shared.portal import comparison, history, program
from shared.portal.audit import Action, Audit
from shared.portal.blobs import Blobs
from shared.portal.core import Comparison, Picture, Source, State
from shared.portal.program import Program
from shared.portal.rate_limit import OWN_SYNC, RateLimit
from tests.support.world import World, jpeg

type Make = Callable[..., World]


@pytest.fixture(autouse=True)
def _no_kept_photos() -> None:
    program._kept.clear()


def core(world: World) -> Program:
    return Program(world.app())


def synced(world: World) -> tuple[World, str]:
    world.fire()
    return world, world.ids()[0]


def test_before_and_after_a_night(world: Make) -> None:
    """Before the first night SharePoint stores none of our photos; after it both are the same."""
    one = world(users=4)
    user_id = one.ids()[0]
    user = core(one).user(user_id)
    before = core(one).view(user)
    assert before.exchange.state is State.PHOTO
    assert before.comparison is not Comparison.SAME
    assert before.record is None
    assert core(one).overview().run is None
    one.fire()
    after = core(one).view(user)
    assert (after.sharepoint.state, after.comparison) == (State.PHOTO, Comparison.SAME)
    assert after.record is not None
    assert after.record.outcome == "updated"
    overview = core(one).overview()
    assert overview.run is not None
    assert overview.run["status"] == "completed"
    assert overview.lines == []


def test_sync_changes_the_photo(world: Make) -> None:
    """A new photo is different until it is synced, and the photos are what the view said."""
    one, user_id = synced(world(users=4))
    one.tenant.directory.set_photo(user_id, jpeg((10, 200, 90)))
    user = core(one).user(user_id)
    assert core(one).view(user).comparison is Comparison.DIFFERENT
    done = core(one).sync(user_id)
    assert (done.outcome, done.dry_run) == ("updated", False)
    view = core(one).view(user)
    assert view.comparison is Comparison.SAME
    for source, side in ((Source.EXCHANGE, view.exchange), (Source.SHAREPOINT, view.sharepoint)):
        assert side.picture
        version = side.picture.etag.strip('"')
        one.tenant.tape.clear()
        assert core(one).at_hand(user_id, source, version) == side.picture
        assert core(one).at_hand(user_id, source, "0" * 32) is None
        assert core(one).at_hand(one.ids()[1], source, version) is None
        assert list(one.tenant.tape.entries()) == []
        again = core(one).picture(user_id, source)
        assert again
        assert again.etag == side.picture.etag
    one.clock.advance(program.KEPT_SECONDS)
    assert core(one).at_hand(user_id, Source.SHAREPOINT, version) is None


def test_photos_are_made_anew(world: Make) -> None:
    """What a browser gets is a small JPEG of ours, whatever Exchange returned."""
    one = world(users=4)
    user_id = one.ids()[0]
    secret = b"a comment in the file"
    buffer = io.BytesIO()
    Image.new("RGB", (600, 400), "red").save(buffer, "JPEG", comment=secret)
    one.tenant.directory.set_photo(user_id, buffer.getvalue())
    picture = core(one).picture(user_id, Source.EXCHANGE)
    assert picture
    assert (picture.width, picture.height) == (300, 200)
    assert secret not in picture.jpeg


def test_a_trial_and_force(world: Make) -> None:
    """A trial writes nothing; force writes although nothing changed."""
    one, user_id = synced(world(users=4))
    one.tenant.directory.set_photo(user_id, jpeg((10, 20, 200)))
    one.tenant.tape.clear()
    done = core(one).sync(user_id, dry_run=True)
    assert (done.outcome, done.dry_run) == ("updated", True)
    assert one.writes() == []
    core(one).sync(user_id)
    assert core(one).sync(user_id).outcome == "unchanged"
    one.tenant.tape.clear()
    core(one).sync(user_id, force=True)
    assert one.writes()


def test_nothing_there(world: Make) -> None:
    """No photo, no profile, no picture, an unusable one: each has its own word."""
    one, user_id = synced(world(users=4))
    person = one.tenant.directory.people[user_id]
    user = core(one).user(user_id)
    one.tenant.directory.remove_photo(user_id)
    assert core(one).view(user).exchange.state is State.NONE
    one.tenant.directory.set_photo(user_id, b"not a photo")
    assert core(one).view(user).exchange.state is State.UNUSABLE
    person.has_profile = False
    view = core(one).view(user)
    assert view.sharepoint.state is State.NO_PROFILE
    assert view.comparison is Comparison.UNKNOWN


def test_people(world: Make) -> None:
    """One by ID, some by the beginning of a name or address; guests and strangers are neither."""
    one = world(users=80, plain=False)
    people = one.tenant.directory.people
    person = next(iter(people.values()))
    found = core(one).user(person.id.upper())
    assert (found.id, found.name, found.upn) == (person.id, person.display_name, person.upn)
    with pytest.raises(UserUnknown):
        core(one).user(str(uuid.uuid4()))
    for text in (person.display_name[:3].lower(), person.upn[:4], person.upn):
        hits = core(one).search(text, 30)
        assert person.id in {hit.id for hit in hits}
        assert all(hit.member for hit in hits)
    guest = next(p for p in people.values() if p.user_type == "Guest")
    assert not core(one).user(guest.id).member
    assert guest.id not in {hit.id for hit in core(one).search(guest.display_name, 30)}
    assert core(one).search("'or 1 eq 1 or '", 10) == []
    assert core(one).search("')%20&$top=999#", 10) == []
    assert len(core(one).search(person.display_name[:1], 2)) <= 2


def test_the_history_of_a_user(world: Make) -> None:
    """Nights and actions stand in one list, newest first, one line for each action."""
    one, user_id = synced(world(users=4))
    other = one.ids()[1]
    one.clock.advance(60)
    trail = Audit(core(one).store, one.clock)
    action = Action("sync", other, "helpdesk", user_id, "first")
    trail.begin(action)
    trail.end(action, "succeeded", outcome="unchanged")
    one.clock.advance(10)
    trail.begin(Action("force", user_id, "self", user_id, "second"))
    trail.begin(Action("view", user_id, "helpdesk", other, "third"))
    events = core(one).history(user_id)
    assert [(e.activity, e.outcome, e.by) for e in events] == [
        ("force", "", "self"),
        ("sync", "unchanged", "helpdesk"),
        ("nightly", "updated", "nightly"),
    ]


def test_problems_of_a_run(world: Make) -> None:
    """Only who failed is listed, once with the last reason; broken lines are passed over."""
    one, user_id = synced(world(users=2))
    run = one.kept_run()
    blobs = Blobs(one.app().container)

    def append(**line: Any) -> None:
        blobs.append(f"runs/{run.started}.jsonl", json.dumps(line).encode() + b"\n")

    append(id=user_id, outcome="failed", detail="first")
    append(id=user_id, outcome="failed", detail="second")
    blobs.append(f"runs/{run.started}.jsonl", b'not json\n[1]\n{"id": 7}\n')
    lines, more = history.problems(blobs, run.started)
    assert ([line["detail"] for line in lines], more) == (["second"], False)
    for number in range(history.MAX_PROBLEMS):
        append(id=str(number), outcome="invalid_photo", detail="")
    lines, more = history.problems(blobs, run.started)
    assert (len(lines), more) == (history.MAX_PROBLEMS, True)


def test_blobs(world: Make) -> None:
    """Blobs are created, replaced only as they were read, appended to, and found by prefix."""
    blobs = Blobs(world(users=1).app().container)
    with pytest.raises(StateError, match="ContainerNotFound"):
        blobs.append("a", b"there is no container yet")
    world_ = world(users=1)
    blobs = Blobs(core(world_)._app.container)
    assert blobs.read("a") is None
    assert blobs.write("a", b"1", None)
    assert not blobs.write("a", b"2", None)
    found = blobs.read("a")
    assert found
    assert blobs.write("a", b"3", found[1])
    assert not blobs.write("a", b"4", found[1])
    assert (blobs.read("a") or (b"",))[0] == b"3"
    for number in range(3):
        blobs.append("audit/x.jsonl", b"%d\n" % number)
    assert blobs.tail("audit/x.jsonl") == b"0\n1\n2\n"
    assert blobs.tail("audit/none.jsonl") == b""
    assert blobs.names("audit/") == ["audit/x.jsonl"]


def test_the_tail_of_a_long_blob(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long report only the end is read, in whole lines."""
    monkeypatch.setattr("shared.portal.blobs.MAX_TAIL_BYTES", 10)
    world_ = world(users=1)
    core(world_)
    blobs = Blobs(world_.app().container)
    blobs.append("x", b"first line\nsecond\nthird\n")
    assert blobs.tail("x") == b"third\n"
    blobs.append("short", b"1\n2\n")
    assert blobs.tail("short") == b"1\n2\n"


def test_limits_hold_across_instances(world: Make) -> None:
    """Two instances share what they counted, because it is in storage."""
    one = world(users=1)
    user_id = str(uuid.uuid4())
    RateLimit(core(one).store, one.clock).spend(user_id, OWN_SYNC)
    with pytest.raises(Exception, match="limit"):
        RateLimit(core(one).store, one.clock).spend(user_id, OWN_SYNC)


def picture(data: bytes, etag: str) -> Picture:
    width, height = comparison.size_of(data)
    return Picture(data, etag, width, height)


def resaved(data: bytes, side: int, quality: int) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").resize((side, side)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_what_counts_as_the_same_photo() -> None:
    """Another size or quality is the same photo; another face, color, or shape is not."""
    gallery = Gallery(3, 6)
    faces = [gallery.portrait(number, "AB").data for number in range(6)]
    for number, face in enumerate(faces):
        first = picture(resaved(face, 300, 90), "a")
        for side, quality in ((300, 60), (200, 85), (240, 95)):
            again = picture(resaved(face, side, quality), "b")
            assert comparison.compare(first, again) is Comparison.SAME
        for other in faces[number + 1 :]:
            theirs = picture(resaved(other, 300, 90), "b")
            assert comparison.compare(first, theirs) is Comparison.DIFFERENT
    square, wide = picture(jpeg(side=300), "a"), io.BytesIO()
    Image.new("RGB", (300, 200), (200, 30, 60)).save(wide, "JPEG")
    assert comparison.compare(square, picture(wide.getvalue(), "b")) is Comparison.DIFFERENT


def test_one_side_fails(world: Make, caplog: pytest.LogCaptureFixture) -> None:
    """What Graph or SharePoint does not answer is unknown; the rest is shown, the log says why."""
    one, user_id = synced(world(users=4))
    user = core(one).user(user_id)
    one.tenant.faults.add(Fault("forbidden", service="sharepoint", times=None))
    view = core(one).view(user)
    assert view.exchange.state is State.PHOTO
    assert view.sharepoint.state is State.UNKNOWN
    assert view.comparison is Comparison.UNKNOWN
    assert "cannot be shown in the portal" in caplog.text
    assert view.record is not None


def test_the_directory_refuses(world: Make) -> None:
    """A missing role is named, for one user and for a search."""
    one = world(users=4)
    user_id = one.ids()[0]
    here = core(one)
    one.tenant.faults.add(Fault("forbidden", service="graph", times=None))
    with pytest.raises(PermissionMissing, match=r"User\.Read\.All"):
        here.user(user_id)
    with pytest.raises(PermissionMissing, match=r"User\.Read\.All"):
        here.search("ade", 10)


@pytest.mark.parametrize(
    "entry",
    [None, [], {}, {"id": "x", "userPrincipalName": "a@b"}, {"id": str(uuid.UUID(int=1))},
     {"id": str(uuid.UUID(int=1)), "userPrincipalName": ""},
     {"id": str(uuid.UUID(int=1)), "userPrincipalName": "a\n@b"},
     {"id": 7, "userPrincipalName": "a@b"}],
)  # fmt: skip
def test_entries_that_are_no_people(entry: object) -> None:
    """What Graph should never list is left out."""
    assert directory._person(entry) is None


def test_entries_with_strange_names() -> None:
    """A name that cannot be shown is left empty; people without `userType` are members."""
    entry = {
        "id": str(uuid.UUID(int=1)).upper(),
        "userPrincipalName": "a@b",
        "displayName": "a\x00",
    }
    person = directory._person(entry)
    assert person
    assert (person.id, person.name, person.guest) == (str(uuid.UUID(int=1)), "", False)


def test_a_day_with_more_lines_than_an_append_blob_takes(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 16: one person who calls all day does not close the portal to everybody else."""
    one, user_id = synced(world(users=4))
    append = BlobClient.append_block

    def full(blob: BlobClient, data: bytes, **options: Any) -> object:
        if blob.blob_name.endswith("-01.jsonl") or ".2." in blob.blob_name:
            error = ResourceExistsError("The block count exceeds the limit.")
            vars(error)["error_code"] = StorageErrorCode.BLOCK_COUNT_EXCEEDS_LIMIT
            raise error
        return append(blob, data, **options)

    store = core(one).store
    store.append("audit/2026-03-01.jsonl", b"{}\n")
    monkeypatch.setattr(BlobClient, "append_block", full)
    line = json.dumps({"targetId": user_id, "activity": "view", "correlationId": "c"}).encode()
    for name in ("audit/2026-03-01.jsonl", "audit/2026-03-02.jsonl"):
        store.append(name, line + b"\n")
    assert sorted(one.blobs("audit/")) == [
        "audit/2026-03-01.3.jsonl",
        "audit/2026-03-01.jsonl",
        "audit/2026-03-02.jsonl",
    ]
    assert "view" in {event.activity for event in core(one).history(user_id)}


def test_nobody_hides_what_another_person_did(world: Make) -> None:
    """The id of an action comes from the browser: the same one of another person is another one."""
    one, user_id = synced(world(users=4))
    audit, same = Audit(core(one).store, one.clock), str(uuid.uuid4())
    for actor, activity in ((one.ids()[1], "force"), (one.ids()[2], "dry_run")):
        audit.begin(Action(activity, actor, "helpdesk", user_id, same))
    assert {event.activity for event in core(one).history(user_id)} >= {"force", "dry_run"}
