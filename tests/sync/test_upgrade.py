"""The first nights after version 1.0.0: its records, its unfinished run, its names of files."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.checkpoint.records import dump_shard
from shared.model import ThumbnailLocation
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]

NEW_RUN_FIELDS = {
    "phase", "shard", "deferredUsers", "putAside", "clearing", "filterRefused", "leavers"
}  # fmt: skip
FOLDER = "/User Photos/Profile Pictures"


def prefix_of(upn: str) -> str:
    """How version 1.0.0 named files after a user principal name."""
    return upn.lower().replace("@", "_").replace(".", "_")


class Former:
    """A tenant that version 1.0.0 has synchronized.

    Args:
        here: a new world; it is synchronized, and its state rewritten in the form of 1.0.0.
        named: object ids of users whose files bear their principal name.
    """

    def __init__(self, here: World, named: int = 3) -> None:
        self.here = here
        self.oracle = Oracle(here)
        self.oracle.verify(here.fire())
        self.named = here.ids()[:named]
        records = here.records()
        for user_id in self.named:
            photo = records[user_id].photo
            assert photo
            self.rename_files(user_id, photo.location)
            upn = here.tenant.directory.people[user_id].upn
            location = replace(photo.location, prefix=prefix_of(upn))
            records[user_id] = replace(records[user_id], photo=replace(photo, location=location))
        shard = json.loads(dump_shard(records))
        for record in shard["users"].values():
            record.pop("verifyOn")
        self.store("state/00.json", shard)

    def rename_files(self, user_id: str, location: ThumbnailLocation) -> None:
        """Give a user's files the names that version 1.0.0 gave them, in library and profile."""
        tenant = self.here.tenant
        person, library = tenant.directory.people[user_id], tenant.sharepoint.library["mysite"]
        former = replace(location, prefix=prefix_of(person.upn))
        for size in "SML":
            content = library.contents()[location.path(size)]
            library.put(FOLDER, former.path(size).rpartition("/")[2], content, overwrite=True)
            library.delete(location.path(size))
        tenant.sharepoint.profiles.put(
            person, {"PictureURL": former.picture_url, "SPS-PicturePlaceholderState": "0"}
        )
        self.oracle = Oracle(self.here)

    def run_document(self, **changed: Any) -> None:
        """Rewrite the run's document in the form of version 1.0.0, with these fields changed."""
        document = json.loads(self.here.blobs("run.json")["run.json"])
        for name in NEW_RUN_FIELDS:
            del document[name]
        del document["removals"]["photos"]
        self.store("run.json", document | {"version": "1.0.0"} | changed)

    def store(self, name: str, document: Any) -> None:
        """Write a blob."""
        self.here.app().container.upload_blob(name, json.dumps(document), overwrite=True)

    def forget(self, user_id: str) -> ThumbnailLocation:
        """Take a user's record away, as if 1.0.0 had died in their first write."""
        records = self.here.records()
        photo = records.pop(user_id).photo
        assert photo
        self.store("state/00.json", json.loads(dump_shard(records)))
        return photo.location


@pytest.mark.parametrize("status", ["running", "interrupted", "stopped", "completed"])
def test_a_run_of_version_1_in_any_state(world: Make, status: str) -> None:
    """It is closed and reported, a new run starts, and everybody is right after it."""
    here = world(users=12, shards=1)
    former = Former(here)
    unfinished = status != "completed"
    counts = {"updated": 7, "deferred": 5} if unfinished else {"updated": 12}
    ended = here.kept_run().ended if status != "running" else None
    former.run_document(status=status, ended=ended, counts=counts, cursor=here.ids()[6])
    old = json.loads(here.blobs("run.json")["run.json"])

    run = here.night()

    former.oracle.verify(run)
    assert run.id != old["id"]
    assert outcomes(run) == {"unchanged": 9, "repaired": 3}
    if unfinished:
        report = json.loads(here.blobs("runs/")[f"runs/{old['started']}.json"])
        assert report["status"] == "interrupted"
        assert report["counts"]["deferred"] == 5
    assert outcomes(here.night()) == {"unchanged": 12}
    assert here.writes() == []


def test_first_writes_that_version_1_noted(world: Make) -> None:
    """`writing`: the picture of a user whose first write it did not finish is known as ours."""
    here = world(users=8, shards=1)
    former = Former(here, named=0)
    one, other = here.ids()[:2]
    places = {user_id: former.forget(user_id) for user_id in (one, other)}
    here.tenant.directory.remove_photo(one)
    former.run_document(
        status="interrupted",
        counts={"updated": 6, "deferred": 2},
        writing={
            user_id: {"host": place.host, "folder": place.folder, "prefix": place.prefix}
            for user_id, place in places.items()
        },
    )

    runs = [here.night() for _ in range(4)]

    assert outcomes(runs[0]).get("removed") is None
    assert [outcomes(run).get("removed", 0) for run in runs].count(1) == 1
    former.oracle.verify(runs[-1])
    assert here.tenant.sharepoint.shown_picture(one) is None
    assert not [name for name in here.tenant.sharepoint.files() if one in name]
    assert here.tenant.sharepoint.shown_picture(other)


def test_looks_of_old_records_are_spread(world: Make) -> None:
    """Records without `verifyOn`: everybody is looked at within REVERIFY_DAYS, not in one night."""
    here = world(users=40, shards=1, settings={"REVERIFY_DAYS": "10"})
    former = Former(here, named=0)
    former.run_document()
    looks = [here.night().reverified for _ in range(11)]
    assert sum(looks) >= 40
    assert max(looks) < 20
    assert all(record.verify_on for record in here.records().values())


@pytest.mark.parametrize("forced", [True, False], ids=["call", "nights"])
def test_a_shared_file_of_version_1_is_not_taken_from_the_other(world: Make, forced: bool) -> None:
    """A1 after the upgrade: one of two users with the same file loses the photo, not the other."""
    here = world(users=8, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"})
    directory = here.tenant.directory
    one, other = here.ids()[:2]
    directory.rename(one, "anna.sales@contoso.com")
    directory.rename(other, "anna@sales.contoso.com")
    for user_id in (one, other):
        directory.set_photo(user_id, jpeg())
    former = Former(here, named=2)
    former.run_document()
    shown = here.tenant.sharepoint.shown_picture(other)
    assert shown
    directory.remove_photo(one)

    if forced:
        assert here.call(one, force=True).outcome == "removed"
        assert here.tenant.sharepoint.shown_picture(one) is None
        assert here.tenant.sharepoint.shown_picture(other) == shown
    run = here.night()
    here.night()

    assert here.tenant.sharepoint.shown_picture(one) is None
    assert here.tenant.sharepoint.shown_picture(other) == shown
    assert not former.oracle.wrong()
    assert sum(outcomes(run).values()) == 8
