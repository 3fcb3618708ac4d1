"""What is known of each user, how two writers' records become one, and the JSON of a shard. Pure.

A shard is `{"schema": 1, "users": {"<object id>": {…}}}`; the names of a record's fields are those
of `Record` in camelCase.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.checkpoint.documents import (
    SCHEMA,
    UNREADABLE,
    as_count,
    as_date,
    as_moment,
    as_text,
    as_user_id,
    parse_document,
)
from shared.errors import BrokenState
from shared.model import Outcome, ThumbnailLocation


@dataclass(frozen=True, slots=True)
class Photo:
    """The files that we wrote for a user, or found already written.

    Attributes:
        etag: Exchange's version of the photo.
        sha256: of Exchange's bytes, hexadecimal; empty when the claim is withdrawn: the files are
            ours, but a write to them was begun and not finished, so their content is unknown.
        location: of the three files.
    """

    etag: str
    sha256: str
    location: ThumbnailLocation

    def withdrawn(self) -> "Photo":
        """The same files, content unknown."""
        return replace(self, etag="", sha256="")


@dataclass(frozen=True, slots=True)
class Missing:
    """Exchange no longer has the photo that we wrote.

    Attributes:
        runs: consecutive runs that found it gone.
        run: id of the last of them, so that a resumed run does not count twice.
    """

    runs: int
    run: str


@dataclass(frozen=True, slots=True)
class Failing:
    """The user could not be synchronized.

    Attributes:
        count: runs in a row.
        retry_on: UTC date of the next attempt.
        etag: the photo's version at the last attempt; another version is tried at once.
    """

    count: int
    retry_on: str
    etag: str


@dataclass(frozen=True, slots=True)
class Record:
    """What the checkpoint knows of a user. Users without a photo and without trouble have none.

    Attributes:
        upn: user principal name at the time; for people who read, never for requests.
        outcome: of the last attempt that changed the record.
        detail: one sentence, may be empty.
        checked_at: when that was.
        run: id of the run, or "on-demand".
        photo: what SharePoint shows because of us; None when nothing.
        verified_at: when SharePoint was last seen to show it.
        verify_on: UTC date of the next look; "" in records of version 1.
        missing: see `Missing`.
        failing: see `Failing`.
        left_on: UTC date on which a run first noticed that the directory no longer has the user.
    """

    upn: str
    outcome: Outcome
    checked_at: str
    run: str
    detail: str = ""
    photo: Photo | None = None
    verified_at: str = ""
    verify_on: str = ""
    missing: Missing | None = None
    failing: Failing | None = None
    left_on: str = ""

    @property
    def claims(self) -> bool:
        """Whether the record says what SharePoint shows."""
        return self.photo is not None and bool(self.photo.sha256)


def merge(
    base: Record | None, ours: Record | None, theirs: Record | None
) -> tuple[Record | None, bool]:
    """One record out of two that two writers made of the same one.

    What counts is who touched SharePoint. When only they did, their record tells the truth. When
    both did, and not with the same picture, nobody knows what the files hold now: then the record
    claims nothing, and the user is disputed. Among records that do not contradict each other the
    newest wins. A record that is to be dropped is kept when anybody changed it.

    Args:
        base: as we read it; None when there was none.
        ours: to be saved; None to drop the record.
        theirs: as it is now; None when there is none.

    Returns:
        The record to save (None for none), and whether the user is disputed.
    """
    if theirs is None or theirs == base:
        return ours, False
    if ours is None:
        return theirs, True
    held, before, now = _claim(ours), _claim(base), _claim(theirs)
    touched = held != before or (ours.photo is not None and not ours.photo.sha256)
    if touched and now == before:
        return ours, False
    if not touched and now != before:
        return theirs, False
    newest = ours if ours.checked_at >= theirs.checked_at else theirs
    if held == now:
        return newest, False
    known = newest if newest.photo else ours if ours.photo else theirs
    return replace(known, photo=known.photo and known.photo.withdrawn()), True


def _claim(record: Record | None) -> tuple[str, ThumbnailLocation] | None:
    """What a record says that SharePoint holds."""
    photo = record.photo if record else None
    return (photo.sha256, photo.location) if photo else None


def dump_shard(records: Mapping[str, Record]) -> bytes:
    """A shard as JSON, users in order of their id, so that equal content gives equal bytes."""
    users = {user_id: _to_json(records[user_id]) for user_id in sorted(records)}
    return json.dumps({"schema": SCHEMA, "users": users}, separators=(",", ":")).encode()


def parse_shard(data: bytes) -> dict[str, Record]:
    """Records by user id.

    Raises:
        NewerSchema: a newer version of the program wrote it.
        BrokenState: no shard, or a record in it is none.
    """
    users = parse_document(data).get("users")
    if not isinstance(users, dict):
        raise BrokenState("it has no users")
    return {user_id: _from_json(user_id, value) for user_id, value in users.items()}


def as_location(value: Any) -> ThumbnailLocation:
    """Where a user's files are, in a document.

    Raises:
        KeyError, TypeError, ValueError: it is no location.
    """
    location = ThumbnailLocation(
        as_text(value["host"]), as_text(value["folder"]), as_text(value["prefix"])
    )
    if not location.host or "/" in location.folder + location.prefix or not location.prefix:
        raise ValueError("no location")
    return location


def _to_json(record: Record) -> dict[str, Any]:
    """A record as JSON; empty fields are left out."""
    value: dict[str, Any] = {
        "upn": record.upn,
        "outcome": record.outcome.value,
        "checkedAt": record.checked_at,
        "run": record.run,
    }
    if record.detail:
        value["detail"] = record.detail
    if record.photo:
        photo = record.photo
        value["photo"] = {
            "etag": photo.etag,
            "sha256": photo.sha256,
            "host": photo.location.host,
            "folder": photo.location.folder,
            "prefix": photo.location.prefix,
        }
        value["verifiedAt"] = record.verified_at
        if record.verify_on:
            value["verifyOn"] = record.verify_on
    if record.missing:
        value["missing"] = {"runs": record.missing.runs, "run": record.missing.run}
    if record.failing:
        failing = record.failing
        value["failing"] = {
            "count": failing.count,
            "retryOn": failing.retry_on,
            "etag": failing.etag,
        }
    if record.left_on:
        value["leftOn"] = record.left_on
    return value


def _from_json(user_id: str, value: Any) -> Record:
    try:
        as_user_id(user_id)
        photo = value.get("photo")
        missing = value.get("missing")
        failing = value.get("failing")
        return Record(
            upn=as_text(value["upn"]),
            outcome=Outcome(value["outcome"]),
            checked_at=as_moment(value["checkedAt"]),
            run=as_text(value["run"]),
            detail=as_text(value.get("detail", "")),
            photo=_photo(photo) if photo is not None else None,
            verified_at=as_moment(value["verifiedAt"]) if photo is not None else "",
            verify_on=as_date(value["verifyOn"]) if photo and "verifyOn" in value else "",
            missing=(
                Missing(as_count(missing["runs"]), as_text(missing["run"])) if missing else None
            ),
            failing=_failing(failing) if failing else None,
            left_on=as_date(value["leftOn"]) if "leftOn" in value else "",
        )
    except UNREADABLE:
        raise BrokenState(f"the record of {user_id[:60]!r} cannot be read") from None


def _photo(value: Any) -> Photo:
    return Photo(as_text(value["etag"]), as_text(value["sha256"]), as_location(value))


def _failing(value: Any) -> Failing:
    return Failing(as_count(value["count"]), as_date(value["retryOn"]), as_text(value["etag"]))
