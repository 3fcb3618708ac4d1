"""What all documents of the checkpoint share: the schema, and how moments and numbers are written.

Moments are UTC in ISO 8601 with milliseconds and `Z`, dates are `YYYY-MM-DD`. Pure.
"""

import json
from datetime import UTC, date, datetime
from typing import Any

from shared.errors import BrokenState, NewerSchema
from shared.model import is_object_id

SCHEMA = 1
"""Version of every document in the container; a newer one is refused, an older one is read."""

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What the readers below raise for a value that is not what it should be."""

_COUNT_LIMIT = 10**15


def iso(seconds: float) -> str:
    """A moment as the documents write it.

    Args:
        seconds: since the epoch.
    """
    return _written(datetime.fromtimestamp(seconds, UTC))


def seconds_of(text: str) -> float:
    """Seconds since the epoch of a moment in a document.

    Raises:
        ValueError: it is no moment.
    """
    return _moment(text).timestamp()


def parse_document(data: bytes) -> dict[str, Any]:
    """Any document of the container, once its schema is known to be readable.

    Raises:
        NewerSchema: a newer version of the program wrote it.
        BrokenState: no JSON object with a schema.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise BrokenState("it is no JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise BrokenState("it has no schema")
    if schema > SCHEMA:
        raise NewerSchema(
            f"schema {schema} comes from a newer version of Photo Sync, and this version reads up "
            f"to {SCHEMA}: deploy the newer version again, or set CHECKPOINT_CONTAINER to a new "
            "container"
        )
    return dict(document)


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
    return _written(_moment(as_text(value)))


def as_date(value: Any) -> str:
    """A date of a document.

    Raises:
        TypeError, ValueError: it is none.
    """
    return date.fromisoformat(as_text(value)).isoformat()


def as_user_id(value: Any) -> str:
    """An object id of a document.

    Raises:
        TypeError, ValueError: it is none, or not in lower case.
    """
    text = as_text(value)
    if not is_object_id(text) or text != text.lower():
        raise ValueError("no object id")
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return moment


def _written(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
