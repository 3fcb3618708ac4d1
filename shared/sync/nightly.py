"""The nightly run: a firing starts it, resumes it, or finds that there is nothing to do."""

import hashlib
import uuid

from shared import __version__
from shared.app import App
from shared.checkpoint import (
    DRY_RUN,
    INTERRUPTED,
    STOPPED,
    SYNC,
    Checkpoint,
    Photo,
    Record,
    Run,
    close_run,
    next_run,
    shard_of,
)
from shared.config import Settings
from shared.log import InvocationLog
from shared.model import Outcome
from shared.sync import report
from shared.sync.firing import Firing


def fire(app: App) -> Run | None:
    """Start the nightly run, resume it, or find that there is nothing to do.

    Returns:
        The run as it is now; None when another firing is working on it.

    Raises:
        RunStopped: the run ended early; the message names cause and remedy. All is saved.
        StateError: the checkpoint cannot be used; nothing was written to SharePoint since.
    """
    settings = app.settings
    log = InvocationLog()
    checkpoint = app.checkpoint(read_only=settings.dry_run, log=log)
    checkpoint.prepare()
    with checkpoint.lease() as lease:
        if lease is None:
            report.log_nothing(None, "another firing is at work")
            return None
        previous = checkpoint.run()
        run, closed = next_run(
            previous,
            run_id=uuid.uuid4().hex,
            version=__version__,
            mode=DRY_RUN if settings.dry_run else SYNC,
            scope=fingerprint(settings),
            now=app.clock.time(),
            interval=settings.run_interval.total_seconds(),
        )
        if run is None:
            report.log_nothing(previous, "the last run is finished and recent")
            return previous
        if closed:
            closed.status = INTERRUPTED
            closed.reason = closed.reason or "closed: too old, or made with other settings"
            closed.ended = closed.ended or closed.updated
            close_run(checkpoint, closed, lease)
        if run.writing and not settings.dry_run:
            _take_over_version_1(checkpoint, run)
        probing = previous is not None and previous.status == STOPPED
        Firing(app, checkpoint, lease, run, log, probing=probing).go()
        return run


def fingerprint(settings: Settings) -> str:
    """Changes when another set of users, or another tenant, is meant."""
    parts = (
        settings.user_filter,
        settings.sync_group_id or "",
        settings.graph_url,
        settings.mysite_url,
        settings.target_tenant_id or "",
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _take_over_version_1(checkpoint: Checkpoint, run: Run) -> None:
    """Record the files that version 1 was writing when it died: they are ours, content unknown."""
    for name in sorted({shard_of(user_id) for user_id in run.writing}):
        shard = checkpoint.load(name)
        changes: dict[str, Record | None] = {
            user_id: Record(
                upn="",
                outcome=Outcome.DEFERRED,
                checked_at=run.started,
                run=run.id,
                photo=Photo("", "", location),
                verified_at=run.started,
            )
            for user_id, location in run.writing.items()
            if shard_of(user_id) == name and user_id not in shard.records
        }
        if changes:
            checkpoint.save(shard, changes)
    run.writing = {}
