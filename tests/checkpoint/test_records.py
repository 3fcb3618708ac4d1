"""The documents of the checkpoint: what is read back, what is refused, how two writers merge."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checkpoint import documents, records
from shared.checkpoint.documents import SCHEMA, as_moment, iso, parse_document, seconds_of
from shared.checkpoint.records import (
    Failing,
    Missing,
    Photo,
    Record,
    dump_shard,
    merge,
    parse_shard,
)
from shared.errors import BrokenState, NewerSchema
from shared.model import Outcome, ThumbnailLocation

ID = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"
PLACE = ThumbnailLocation("https://contoso-my.sharepoint.com", "Profile Pictures", ID)

STEADY = settings(derandomize=True, deadline=None)

_text = st.text(max_size=12)
_moment = st.floats(0, 4e9).map(iso)
_count = st.integers(0, 10**6)
_photo = st.builds(
    Photo,
    etag=_text,
    sha256=_text,
    location=st.builds(
        ThumbnailLocation,
        host=st.text(min_size=1, max_size=8),
        folder=_text.filter(lambda text: "/" not in text),
        prefix=st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text),
    ),
)
_record = st.builds(
    lambda record, verified_at: replace(record, verified_at=verified_at if record.photo else ""),
    st.builds(
        Record,
        upn=_text,
        outcome=st.sampled_from(Outcome),
        checked_at=_moment,
        run=_text,
        detail=_text,
        photo=st.none() | _photo,
        missing=st.none() | st.builds(Missing, runs=_count, run=_text),
        failing=st.none()
        | st.builds(Failing, count=_count, retry_on=st.dates().map(str), etag=_text),
    ),
    _moment,
)
_shard = st.dictionaries(st.uuids().map(str), _record, max_size=4)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def whole() -> dict[str, Any]:
    """A record as JSON with every field set."""
    return {
        "upn": "adele@contoso.com",
        "outcome": "updated",
        "checkedAt": "2026-01-02T03:04:05.678Z",
        "run": "r1",
        "detail": "why",
        "photo": {
            "etag": '"A1"',
            "sha256": "ab" * 32,
            "host": PLACE.host,
            "folder": PLACE.folder,
            "prefix": PLACE.prefix,
        },
        "verifiedAt": "2026-01-01T00:00:00.000Z",
        "verifyOn": "2026-01-31",
        "leftOn": "2026-02-01",
        "missing": {"runs": 1, "run": "r1"},
        "failing": {"count": 2, "retryOn": "2026-01-04", "etag": '"A2"'},
    }


def shard_of(record: object, user_id: str = ID, schema: object = 1) -> bytes:
    """A shard of one user."""
    return json.dumps({"schema": schema, "users": {user_id: record}}).encode()


def test_documented_form() -> None:
    """The document is what operators are told: schema, users by object id, camelCase fields."""
    record = Record(
        upn="adele@contoso.com",
        outcome=Outcome.UPDATED,
        checked_at="2026-01-02T03:04:05.678Z",
        run="r1",
        detail="why",
        photo=Photo('"A1"', "ab" * 32, PLACE),
        verified_at="2026-01-01T00:00:00.000Z",
        verify_on="2026-01-31",
        left_on="2026-02-01",
        missing=Missing(1, "r1"),
        failing=Failing(2, "2026-01-04", '"A2"'),
    )

    assert {"schema": 1, "users": {ID: whole()}} == json.loads(dump_shard({ID: record}))
    assert {ID: record} == parse_shard(shard_of(whole()))


@STEADY
@given(_shard)
def test_round_trip(shard: dict[str, Record]) -> None:
    """What is written is read back the same, and equal content gives equal bytes."""
    data = dump_shard(shard)

    assert shard == parse_shard(data)
    assert data == dump_shard(dict(reversed(shard.items())))


@STEADY
@given(st.binary(max_size=60) | _json.map(json.dumps).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever stands in a shard's blob, the loader gives records or a typed error."""
    try:
        found = parse_shard(data)
    except (BrokenState, NewerSchema):
        return
    assert isinstance(found, dict)


@STEADY
@given(st.data())
def test_any_spoilt_field_is_read_or_refused(data: st.DataObject) -> None:
    """A record with one field spoilt is read so that it can be written again, or refused."""
    record = whole()
    holder = data.draw(st.sampled_from([record, record["photo"], record["failing"]]))
    name = data.draw(st.sampled_from(sorted(holder)))
    holder[name] = data.draw(_json)
    try:
        found = parse_shard(shard_of(record))
    except BrokenState:
        return
    assert found == parse_shard(dump_shard(found))


@STEADY
@given(st.text(max_size=40) | st.datetimes().map(str) | st.datetimes().map(lambda d: f"{d}+23:59"))
def test_any_text_as_a_moment(text: str) -> None:
    """A moment is read into the one spelling by which moments compare, or refused."""
    try:
        found = parse_shard(shard_of(whole() | {"checkedAt": text}))[ID]
    except BrokenState:
        return
    assert found.checked_at == as_moment(found.checked_at)
    assert seconds_of(text) == pytest.approx(seconds_of(found.checked_at), abs=0.002)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"schema":1}',
        b'{"schema":1,"users":[]}',
        b'{"schema":"1","users":{}}',
        b'{"schema":true,"users":{}}',
        b'{"schema":0,"users":{}}',
        b'{"schema":-1,"users":{}}',
        b'{"schema":1.0,"users":{}}',
        b'{"schema":1,"users":{}',
        b"[" * 100_000,
        b'{"schema":' + b"9" * 5000 + b',"users":{}}',
        shard_of(whole(), user_id="nobody"),
        shard_of(whole(), user_id=ID.upper()),
        shard_of(whole(), user_id=ID + "\n"),
        shard_of(None),
        shard_of([]),
    ],
)
def test_broken_documents(data: bytes) -> None:
    """What is no shard is refused as broken, so that it can be set aside."""
    with pytest.raises(BrokenState):
        parse_shard(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ("upn", "outcome", "checkedAt", "run", "verifiedAt")),
        ("outcome", "exploded"),
        ("checkedAt", "yesterday"),
        ("checkedAt", "2026-01-02T03:04:05"),
        ("checkedAt", "0001-01-01T00:00:00+23:59"),
        ("photo", {}),
        ("photo", "x"),
        ("photo", whole()["photo"] | {"host": ""}),
        ("photo", whole()["photo"] | {"prefix": ""}),
        ("photo", whole()["photo"] | {"prefix": "../x"}),
        ("photo", whole()["photo"] | {"folder": "a/b"}),
        ("missing", {"runs": -1, "run": "r1"}),
        ("missing", {"runs": True, "run": "r1"}),
        ("missing", {"runs": 10**30, "run": "r1"}),
        ("missing", [1]),
        ("failing", {"count": 1, "retryOn": "soon", "etag": ""}),
        ("failing", {"count": 1, "retryOn": "2026-01-04"}),
    ],
)
def test_broken_records(name: str, value: object) -> None:
    """One record that cannot be trusted makes the shard broken: it is read anew, not guessed."""
    with pytest.raises(BrokenState, match=ID):
        parse_shard(shard_of(whole() | {name: value}))


@pytest.mark.parametrize(
    "name", ["detail", "photo", "verifiedAt", "verifyOn", "leftOn", "missing", "failing"]
)
def test_empty_fields_are_left_out(name: str) -> None:
    """Fields that say nothing may be missing; a photo comes with when it was verified."""
    record = whole()
    del record[name]
    if name in {"photo", "verifiedAt"}:
        for other in {"photo", "verifiedAt", "verifyOn"} - {name}:
            del record[other]

    assert {"schema": 1, "users": {ID: record}} == json.loads(
        dump_shard(parse_shard(shard_of(record)))
    )


@pytest.mark.parametrize("value", [0, {}, [], False, "", None])
def test_nothing_missing_and_nothing_failing(value: object) -> None:
    """Empty values of optional parts mean that there are none."""
    found = parse_shard(shard_of(whole() | {"missing": value, "failing": value}))[ID]
    assert (found.missing, found.failing) == (None, None)


def test_a_newer_schema_is_refused() -> None:
    """A document of a newer version is refused with what to do, even if its content is unknown."""
    with pytest.raises(NewerSchema, match=r"schema 2 .* up to 1: deploy .* CHECKPOINT_CONTAINER"):
        parse_document(b'{"schema":2,"people":[]}')


def test_an_older_schema_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of an older version is read, and written with the schema of this one."""
    for module in (documents, records):
        monkeypatch.setattr(module, "SCHEMA", SCHEMA + 1)

    found = parse_shard(shard_of(whole(), schema=SCHEMA))

    assert list(found) == [ID]
    assert json.loads(dump_shard(found))["schema"] == SCHEMA + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("2026-01-02T03:04:05.678901+01:00", "2026-01-02T02:04:05.678Z"),
        ("20260102T030405Z", "2026-01-02T03:04:05.000Z"),
    ],
)
def test_moments_have_one_spelling(text: str, expected: str) -> None:
    """Moments are read in any spelling of ISO 8601 and kept in one, because texts are compared."""
    assert expected == parse_shard(shard_of(whole() | {"checkedAt": text}))[ID].checked_at


@pytest.mark.parametrize(
    ("photo", "claims"),
    [(None, False), (Photo('"A1"', "ab", PLACE), True), (Photo("", "", PLACE), False)],
)
def test_what_claims(photo: Photo | None, claims: object) -> None:
    """A record claims what SharePoint shows only as long as the content is known."""
    assert replace(record(1), photo=photo).claims is claims
    assert not (photo and photo.withdrawn().sha256)


# -- two writers ---------------------------------------------------------------------------------


def record(
    at: int, photo: str | None = None, *, prefix: str = ID, etag: str = "", detail: str = ""
) -> Record:
    """A record made at a second, of a photo with that digest; "" is a claim withdrawn."""
    place = replace(PLACE, prefix=prefix)
    held = None if photo is None else Photo(etag, photo, place)
    return Record("a@b.c", Outcome.UNCHANGED, iso(at), "r", detail, held, iso(0) if held else "")


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected", "disputed"),
    [
        # Nobody else wrote.
        (None, record(2, "A"), None, record(2, "A"), False),
        (record(1, "A"), record(2, "B"), record(1, "A"), record(2, "B"), False),
        (record(1, "A"), record(2), record(1, "A"), record(2), False),
        # Their record is gone: the blob was lost.
        (record(1, "A"), record(2, "B"), None, record(2, "B"), False),
        # Our own write, repeated.
        (record(1, "A"), record(2, "B"), record(2, "B"), record(2, "B"), False),
        # Nobody touched SharePoint: the newest.
        (record(1, "A"), record(2, "A", detail="o"), record(3, "A"), record(3, "A"), False),
        (
            record(1, "A"),
            record(3, "A", detail="o"),
            record(2, "A"),
            record(3, "A", detail="o"),
            False,
        ),
        (
            record(1, "A"),
            record(2, "A", detail="o"),
            record(2, "A"),
            record(2, "A", detail="o"),
            False,
        ),
        (None, record(3, detail="o"), record(2), record(3, detail="o"), False),
        # Only they did: theirs, however old.
        (record(1, "A"), record(3, "A", detail="o"), record(2, "B"), record(2, "B"), False),
        (record(1, "A"), record(3, "A", detail="o"), record(2), record(2), False),
        (record(1, "A"), record(3, "A", detail="o"), record(2, ""), record(2, ""), False),
        (None, record(3, detail="o"), record(2, "B"), record(2, "B"), False),
        # Only we did: ours, however old.
        (record(1, "A"), record(2, "B"), record(3, "A"), record(2, "B"), False),
        (record(1, "A"), record(2, ""), record(3, "A"), record(2, ""), False),
        (record(1, ""), record(2, "B"), record(3, ""), record(2, "B"), False),
        (record(1, ""), record(2), record(3, ""), record(2), False),
        # Both, with the same picture: the newest.
        (record(1, "A"), record(2, "B"), record(3, "B"), record(3, "B"), False),
        (record(1, "A"), record(3, "B", etag="o"), record(2, "B"), record(3, "B", etag="o"), False),
        (None, record(2, "B", etag="o"), record(3, "B"), record(3, "B"), False),
        (record(1, "A"), record(2), record(3), record(3), False),
        # Both withdrew, and go on: whoever ends last sees the other.
        (record(1, "A"), record(2, ""), record(3, ""), record(3, ""), False),
        (record(1, "A"), record(3, ""), record(2, ""), record(3, ""), False),
        # Both, with different pictures: nobody knows what is shown.
        (None, record(2, "A"), record(3, "B"), record(3, ""), True),
        (None, record(3, "A"), record(2, "B"), record(3, ""), True),
        (record(1, ""), record(2, "A"), record(3, "B"), record(3, ""), True),
        (None, record(2, "A"), record(3, "A", prefix="other"), record(3, "", prefix="other"), True),
        # One wrote, the other removed: the files that may be there are known still.
        (record(1, "A"), record(2), record(3, "B"), record(3, ""), True),
        (record(1, "A"), record(3), record(2, "B"), record(2, ""), True),
        (record(1, "A"), record(2, "B"), record(3), record(2, ""), True),
        (record(1, ""), record(3), record(2, "B"), record(2, ""), True),
        # We had begun and did not finish, they have finished.
        (record(1, ""), record(2, "", detail="o"), record(3, "B"), record(3, ""), True),
        (record(1, ""), record(3, "", detail="o"), record(2, "B"), record(3, "", detail="o"), True),
    ],
)
def test_merge(
    base: Record | None, ours: Record, theirs: Record | None, expected: Record, disputed: bool
) -> None:
    """Who changed SharePoint alone is right; two who did, and not alike, leave no claim."""
    assert (expected, bool(disputed)) == merge(base, ours, theirs)


@STEADY
@given(st.none() | _record, _record, st.none() | _record)
def test_merge_never_believes_half(
    base: Record | None, ours: Record, theirs: Record | None
) -> None:
    """A merged record is one of the two, or claims nothing and knows where the files are."""
    merged, disputed = merge(base, ours, theirs)

    assert merged is not None
    if disputed:
        assert merged.photo is not None
        assert (merged.photo.etag, merged.photo.sha256) == ("", "")
        assert merged.photo.location in {r.photo.location for r in (ours, theirs) if r and r.photo}
    else:
        assert merged in (ours, theirs)


@pytest.mark.parametrize(
    ("base", "theirs", "expected", "disputed"),
    [
        (record(1, "A"), record(1, "A"), None, False),
        (record(1, "A"), None, None, False),
        (record(1, "A"), record(2, "B"), record(2, "B"), True),
        (record(1, "A"), record(2, "A", detail="seen"), record(2, "A", detail="seen"), True),
        (None, record(2, "B"), record(2, "B"), True),
    ],
)
def test_a_record_is_dropped_only_when_nobody_changed_it(
    base: Record | None, theirs: Record | None, expected: Record | None, disputed: bool
) -> None:
    """Whoever wrote meanwhile knows more of the user than the one who drops the record."""
    assert (expected, disputed) == merge(base, None, theirs)


def test_shards_are_compact_and_say_what_they_lack() -> None:
    """A million records are not stored with blanks between them."""
    stored = dump_shard({ID: replace(parse_shard(shard_of(whole()))[ID], detail="")})
    assert b'": ' not in stored
    assert b", " not in stored
    with pytest.raises(BrokenState, match=r"^it has no users$"):
        parse_shard(b'{"schema":1}')
