"""The documents of the checkpoint: what is known of each user, and how it is written as JSON. Pure.

A shard is `{"schema": 1, "users": {"<object id>": {…}}}`; the names of a record's fields are those
of `Record` in camelCase. Times are UTC in ISO 8601 with `Z`, dates are `YYYY-MM-DD`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from shared.errors import BrokenState, NewerSchema
from shared.model import Outcome, ThumbnailLocation, is_object_id

SCHEMA = 1
"""Version of every document in the container; a newer one is refused, an older one is read."""

_COUNT_LIMIT = 10**15


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that we wrote, or found already written, completely.

    Attributes:
        etag: Exchange's version of it.
        sha256: of Exchange's bytes, hexadecimal; empty when the claim is withdrawn.
        place: where its thumbnails are.
    """

    etag: str
    sha256: str
    place: ThumbnailLocation

    def withdrawn(self) -> "Photo":
        """The same files, of which nothing is known: a write was begun and not finished."""
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
    """The user could not be synchronised.

    Attributes:
        count: runs in a row.
        retry_on: UTC date of the next attempt.
        etag: the photo's version at the last attempt; a new one is tried at once.
    """

    count: int
    retry_on: str
    etag: str


@dataclass(frozen=True, slots=True)
class Record:
    """What the checkpoint knows of a user. Users without a photo and without trouble have none.

    Attributes:
        upn: user principal name at the time.
        outcome: of the last attempt that changed the record.
        detail: one sentence, may be empty.
        checked_at: when that was.
        run: id of the run, or "on-demand".
        photo: what SharePoint shows because of us; None when nothing.
        verified_at: when SharePoint was last seen to show it.
        missing: see `Missing`.
        failing: see `Failing`.
    """

    upn: str
    outcome: Outcome
    checked_at: str
    run: str
    detail: str = ""
    photo: Photo | None = None
    verified_at: str = ""
    missing: Missing | None = None
    failing: Failing | None = None


def merge(base: Record | None, ours: Record, theirs: Record | None) -> tuple[Record, bool]:
    """One record out of two that two writers made of the same one.

    What counts is who touched SharePoint. When only they did, their record tells the truth. When
    both did, and not with the same picture, nobody knows what the files hold now: then the record
    claims nothing, and the user is disputed. Among records that do not contradict each other the
    newest wins.

    Args:
        base: as we read it; None when there was none.
        ours: to be saved.
        theirs: as it is now.

    Returns:
        The record to save, and whether the user is disputed.
    """
    if theirs is None or theirs == base:
        return ours, False
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
    return (photo.sha256, photo.place) if photo else None


def iso(seconds: float) -> str:
    """A moment as the documents write it, with milliseconds.

    Args:
        seconds: since the epoch.
    """
    return _spelled(datetime.fromtimestamp(seconds, UTC))


def seconds_of(text: str) -> float:
    """Seconds since the epoch of a moment in a document.

    Raises:
        ValueError: it is none.
    """
    return _moment(text).timestamp()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return moment


def _spelled(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dump_shard(records: Mapping[str, Record]) -> bytes:
    """A shard as JSON, users in order of their id, so that equal content gives equal bytes."""
    users = {user_id: to_json(records[user_id]) for user_id in sorted(records)}
    return json.dumps({"schema": SCHEMA, "users": users}, separators=(",", ":")).encode()


def parse_shard(data: bytes) -> dict[str, Record]:
    """Records by user id.

    Raises:
        NewerSchema: written by a newer version.
        BrokenState: no shard, or a record in it is none.
    """
    document = parse_document(data)
    users = document.get("users")
    if not isinstance(users, dict):
        raise BrokenState("no users in it")
    return {user_id: _record(user_id, value) for user_id, value in users.items()}


def parse_document(data: bytes) -> dict[str, Any]:
    """Any document of the container, once its schema is known to be readable.

    Raises:
        NewerSchema: written by a newer version.
        BrokenState: no JSON object with a schema.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise BrokenState("no JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise BrokenState("no schema in it")
    if schema > SCHEMA:
        raise NewerSchema(
            f"written with schema {schema}, this version reads up to {SCHEMA}: deploy the newer "
            "version again, or set CHECKPOINT_CONTAINER to a new container"
        )
    return dict(document)


def to_json(record: Record) -> dict[str, Any]:
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
            "host": photo.place.host,
            "folder": photo.place.folder,
            "prefix": photo.place.prefix,
        }
        value["verifiedAt"] = record.verified_at
    if record.missing:
        value["missing"] = {"runs": record.missing.runs, "run": record.missing.run}
    if record.failing:
        failing = record.failing
        value["failing"] = {
            "count": failing.count,
            "retryOn": failing.retry_on,
            "etag": failing.etag,
        }
    return value


def _record(user_id: str, value: Any) -> Record:
    if not is_object_id(user_id) or user_id != user_id.lower():
        raise BrokenState(f"no object id: {user_id[:60]!r}")
    try:
        photo = value.get("photo")
        missing = value.get("missing")
        failing = value.get("failing")
        record = Record(
            upn=as_text(value["upn"]),
            outcome=Outcome(value["outcome"]),
            checked_at=as_moment(value["checkedAt"]),
            run=as_text(value["run"]),
            detail=as_text(value.get("detail", "")),
            photo=_photo(photo) if photo is not None else None,
            verified_at=as_moment(value["verifiedAt"]) if photo is not None else "",
            missing=Missing(as_count(missing["runs"]), as_text(missing["run"]))
            if missing
            else None,
            failing=(
                Failing(
                    as_count(failing["count"]), _date(failing["retryOn"]), as_text(failing["etag"])
                )
                if failing
                else None
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise BrokenState(f"record of {user_id} cannot be read") from None
    return record


def _photo(value: Any) -> Photo:
    return Photo(as_text(value["etag"]), as_text(value["sha256"]), as_place(value))


def as_place(value: Any) -> ThumbnailLocation:
    """Where a user's files are, in a document.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    place = ThumbnailLocation(
        as_text(value["host"]), as_text(value["folder"]), as_text(value["prefix"])
    )
    if not place.host or "/" in place.folder + place.prefix or not place.prefix:
        raise ValueError("no place")
    return place


def as_text(value: Any) -> str:
    """A text of a document.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def as_count(value: Any) -> int:
    """A number of things in a document.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _COUNT_LIMIT:
        raise ValueError("no count")
    return value


def as_moment(value: Any) -> str:
    """A moment of a document in the spelling of `iso`, so that moments compare as texts.

    Raises:
        TypeError, ValueError, OverflowError: it is none.
    """
    return _spelled(_moment(as_text(value)))


def _date(value: Any) -> str:
    return date.fromisoformat(as_text(value)).isoformat()
