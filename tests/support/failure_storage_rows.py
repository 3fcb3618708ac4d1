"""What an administrator sees of faults of blob storage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.failure_kinds import ONCE


@dataclass(frozen=True)
class Blob:
    """A call to blob storage.

    Attributes:
        title: as the page names it.
        method: HTTP method.
        part: of the URL.
        nth: how many such requests come before it in a run.
    """

    title: str
    method: str
    part: str
    nth: int = 0


BLOBS = {
    "container": Blob("look for the container", "GET", "restype=container"),
    "acquire": Blob("take the lease", "PUT", "run.json?comp=lease"),
    "run read": Blob("read the run", "GET", "/run.json"),
    "state read": Blob("read records", "GET", "/state/"),
    "state write": Blob("write records", "PUT", "/state/"),
    "run write": Blob("write the run", "PUT", "/run.json", 1),
    "lines": Blob("append to the report", "PUT", ".jsonl"),
    "report": Blob("write the report", "PUT", "Z.json"),
}
"""Requests for the run's document count from the one that takes its lease."""


def _status(status: int, code: str) -> dict[str, Any]:
    return {"kind": "status", "status": status, "code": code}


BLOB_GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "500, 503, time-out, no connection": {
        "503": _status(503, "ServerBusy"),
        "500": _status(500, "InternalError"),
        "time-out before": {"kind": "timeout_before"},
        "time-out after": {"kind": "timeout_after"},
        "refused": {"kind": "refused"},
    },
    "403": {"403": _status(403, "AuthorizationPermissionMismatch")},
    "409 or 412": {
        "409": _status(409, "BlobAlreadyExists"),
        "412": _status(412, "ConditionNotMet"),
    },
    "lease lost": {
        "lost": _status(412, "LeaseLost"),
        "another's": _status(412, "LeaseIdMismatchWithBlobOperation"),
    },
    "lease in use": {"in use": _status(409, "LeaseAlreadyPresent")},
}
AWAY, NO_ROLE, CONFLICT, LOST, IN_USE = BLOB_GROUPS

EVER = "for ever"
NOTHING, STOPS, RAISES = "nothing", "the run stops", "the firing fails"

_AWAY_MESSAGE = "cannot …: …. The storage account of CHECKPOINT_CONNECTION …"
_ROLE_MESSAGE = (
    "cannot …: …. The identity needs the role Storage Blob Data Owner on the storage account of "
    "CHECKPOINT_CONNECTION, and the network rules of the account must let the app in"
)
_ALERT = "Each firing tries again; alert `night-missing` after 30 hours. "
_ROLE = "Give the role (deploy the template again), check the account's network rules"
_LOOK = "See the account's metrics, its network rules and Azure service health"
_BEFORE = ("container", "acquire", "run read")
_WITHIN = ("state read", "state write")
_LINES = ("lines",)
_FOR_RUN = ("run write", "report")


@dataclass(frozen=True)
class BlobRow:
    """What is seen of some faults of blob storage.

    Attributes:
        groups: of faults.
        calls: where they strike.
        lasts: `ONCE` or `EVER`, or both.
        ends: `NOTHING` is seen, `STOPS` (with report), `RAISES` (without).
        message: of the failed invocation; "…" for what varies.
        then: what happens next, and what there is to do.
    """

    groups: tuple[str, ...]
    calls: tuple[str, ...]
    lasts: tuple[str, ...]
    ends: str
    message: str
    then: str


_BOTH = (ONCE, EVER)
_NEXT = "Records claim nothing that was not written. The next firing goes on. "

BLOB_ROWS = (
    BlobRow(
        (AWAY,),
        tuple(BLOBS),
        (ONCE,),
        NOTHING,
        "",
        "Asked again within seconds. Nothing to do.",
    ),
    BlobRow(
        (AWAY,), _BEFORE, (EVER,), RAISES, _AWAY_MESSAGE, "Nothing is written. " + _ALERT + _LOOK
    ),
    BlobRow(
        (NO_ROLE,), _BEFORE, _BOTH, RAISES, _ROLE_MESSAGE, "Nothing is written. " + _ALERT + _ROLE
    ),
    BlobRow((AWAY,), _WITHIN, (EVER,), STOPS, _AWAY_MESSAGE, _NEXT + _LOOK),
    BlobRow((NO_ROLE,), _WITHIN, _BOTH, STOPS, _ROLE_MESSAGE, _NEXT + _ROLE),
    BlobRow((NO_ROLE,), _LINES, (ONCE,), STOPS, _ROLE_MESSAGE, _NEXT + _ROLE),
    BlobRow((AWAY,), _LINES + _FOR_RUN, (EVER,), RAISES, _AWAY_MESSAGE, _NEXT + _LOOK),
    BlobRow((NO_ROLE,), _LINES + _FOR_RUN, (EVER,), RAISES, _ROLE_MESSAGE, _NEXT + _ROLE),
    BlobRow(
        (CONFLICT,),
        ("state write",),
        (ONCE,),
        NOTHING,
        "",
        "Another writer was faster: read again, merged, written. Nothing to do.",
    ),
    BlobRow(
        (CONFLICT,),
        ("state write",),
        (EVER,),
        STOPS,
        "….json keeps changing under this run",
        _NEXT + "Two apps share the container: one container for each",
    ),
    BlobRow(
        (LOST,),
        ("state write", "run write", "report"),
        _BOTH,
        RAISES,
        "cannot …: …: another run took over",
        "Nothing more is written; the other firing goes on and reports. Nothing to do.",
    ),
    BlobRow(
        (IN_USE,),
        ("acquire",),
        _BOTH,
        NOTHING,
        "another firing is at work",
        "In the log only. After a crash the lease ends by itself within a minute. Nothing to do.",
    ),
)


def blob_cells() -> Iterator[tuple[BlobRow, str, str, str, str]]:
    """All cells of storage: row, call, group, name of the fault, how long it lasts."""
    for row in BLOB_ROWS:
        for call in row.calls:
            for group in row.groups:
                for name in BLOB_GROUPS[group]:
                    for lasts in row.lasts:
                        yield row, call, group, name, lasts
