"""What people did, on record: one JSON line before and one after each effect.

Append blob `audit/<yyyy-mm-dd>.jsonl` (UTC); after 50,000 lines `<yyyy-mm-dd>.2.jsonl` and so on,
so that one person who searches all day does not close the portal to everybody. Fields follow
Entra's own audit log (Microsoft Graph: directoryAudit): `at`, `activity`, `actorId`, `actorRole`,
`targetId`, `result`, `reason`, `outcome`, `correlationId`, `version`. Object IDs only: no names, no
photos.
"""

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from shared import __version__
from shared.clock import Clock
from shared.errors import PhotoSyncError
from shared.portal.core import Store

STARTED = "started"
SUCCEEDED = "succeeded"
FAILED = "failed"

_log = logging.getLogger("photo_sync.portal")


@dataclass(frozen=True)
class Action:
    """What one person is about to do.

    Attributes:
        activity: "sync", "force", "dry_run", "view" or "search".
        actor_id: object ID of the person who acts.
        actor_role: "self" or "helpdesk".
        target_id: object ID of the user it is about; "" for a search.
        correlation_id: joins the lines of one action.
    """

    activity: str
    actor_id: str
    actor_role: str
    target_id: str
    correlation_id: str


@dataclass(frozen=True)
class _Line:
    at: str
    activity: str
    actorId: str  # noqa: N815 - the name in the blob
    actorRole: str  # noqa: N815
    targetId: str  # noqa: N815
    result: str
    reason: str
    outcome: str
    correlationId: str  # noqa: N815
    version: str


class Audit:
    """Writes the lines.

    Args:
        store: where the blobs are.
        clock: where time comes from.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(self, action: Action) -> None:
        """Note that an action begins.

        Raises:
            PhotoSyncError: storage fails; then the action must not happen.
        """
        self._append(self._line(action, STARTED))

    def end(self, action: Action, result: str, *, outcome: str = "", reason: str = "") -> None:
        """Note how it ended. The effect has happened, so a failure is only logged."""
        line = replace(self._line(action, result), outcome=outcome, reason=reason)
        try:
            self._append(line)
        except PhotoSyncError as error:
            _log.error(
                "The end of the action %s could not be written to the audit blob: %s",
                action.correlation_id,
                error,
            )

    def _line(self, action: Action, result: str) -> _Line:
        moment = datetime.fromtimestamp(self._clock.time(), UTC)
        return _Line(
            at=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            activity=action.activity,
            actorId=action.actor_id,
            actorRole=action.actor_role,
            targetId=action.target_id,
            result=result,
            reason="",
            outcome="",
            correlationId=action.correlation_id,
            version=__version__,
        )

    def _append(self, line: _Line) -> None:
        text = json.dumps(asdict(line), separators=(",", ":")) + "\n"
        self._store.append(f"audit/{line.at[:10]}.jsonl", text.encode())
