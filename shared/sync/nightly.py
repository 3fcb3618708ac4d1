"""The nightly run: who is in scope, slice by slice, removals last, and the report in any case."""

import hashlib
import math
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from itertools import takewhile

from shared import __version__
from shared.app import App
from shared.checkpoint import runs
from shared.checkpoint.lease import Lease
from shared.checkpoint.records import iso
from shared.checkpoint.runs import Run
from shared.checkpoint.store import Checkpoint
from shared.config.settings import Settings
from shared.errors import DeadlineExceeded, LeaseLost, PhotoSyncError, RunStopped, Throttled
from shared.graph.client import Graph
from shared.graph.photo_versions import BATCH_SIZE
from shared.http.service import Budget, Meter
from shared.model import Outcome, ThumbnailLocation, User
from shared.sync import report, scope
from shared.sync.circuit_breaker import reading_breaker, writing_breaker
from shared.sync.engine import Sync
from shared.sync.plan import Policy
from shared.sync.removals import Removals
from shared.sync.scope import Scope
from shared.sync.user_sync import Result

LARGEST_SLICE = 400
"""Users between two saves of the cursor: what a crash can cost, at most."""

_SLICES = 10
"""A small tenant's run is cut in about so many slices, so that it shows progress."""

_RESERVE_SECONDS = 20.0
"""Kept of the time budget for saving."""

_REVERIFY_AT_LEAST = 100


def fire(app: App) -> Run | None:
    """Start the nightly run, take it up again, or find that there is nothing to do.

    Returns:
        The run as it is now; None when another firing is working on it.

    Raises:
        RunStopped: the run ended early; the message names cause and remedy. All is saved.
        StateError: the checkpoint cannot be used; nothing was written to SharePoint since.
    """
    settings = app.settings
    checkpoint = app.checkpoint(read_only=settings.dry_run)
    checkpoint.prepare()
    with checkpoint.lease() as lease:
        if lease is None:
            report.log_nothing(None, "another firing is at work")
            return None
        previous = checkpoint.run()
        run, closed = runs.next_run(
            previous,
            run_id=uuid.uuid4().hex,
            version=__version__,
            mode=runs.DRY_RUN if settings.dry_run else runs.SYNC,
            scope=fingerprint(settings),
            now=app.clock.time(),
            interval=settings.run_interval.total_seconds(),
        )
        if run is None:
            report.log_nothing(previous, "the last run is finished and recent")
            return previous
        if closed:
            _close(checkpoint, closed)
        probing = previous is not None and previous.status == runs.STOPPED
        with app.pool() as pool:
            _Firing(app, checkpoint, lease, run, pool, probing=probing).go()
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


def slice_size(users: int) -> int:
    """Users per slice: whole batches, about ten slices, at most `LARGEST_SLICE`."""
    batches = math.ceil(users / _SLICES / BATCH_SIZE)
    return min(LARGEST_SLICE, max(1, batches) * BATCH_SIZE)


def _close(checkpoint: Checkpoint, run: Run) -> None:
    """Write the report of a run that nobody will finish."""
    run.status = runs.INTERRUPTED
    run.reason = run.reason or "closed: too old, or made with other settings"
    run.end(run.ended or run.updated)
    checkpoint.save_report(run)


class _Firing:
    """One firing at work on a run."""

    def __init__(
        self,
        app: App,
        checkpoint: Checkpoint,
        lease: Lease,
        run: Run,
        pool: Executor,
        *,
        probing: bool,
    ) -> None:
        settings = app.settings
        self._settings = settings
        self._clock = app.clock
        self._checkpoint = checkpoint
        self._lease = lease
        self._run = run
        self._meter = Meter()
        self._counted = Meter()
        self._deadline = app.clock.monotonic() + settings.time_budget - _RESERVE_SECONDS
        self._budget = Budget(self._deadline, lease.check, self._meter)
        self._graph: Graph = app.graph(self._budget)
        self._app = app
        self._pool = pool
        self._probing = probing
        self._removals = Removals(
            run=run, checkpoint=checkpoint, settings=settings, clock=app.clock
        )

    def go(self) -> None:
        """Work until the end, the deadline or a reason to stop; save and report in any case."""
        run = self._run
        run.status, run.reason, run.ended = runs.RUNNING, "", ""
        run.counts.pop(Outcome.DEFERRED.value, None)
        failure: Exception | None = None
        try:
            self._work()
            run.status = runs.COMPLETED
        except LeaseLost:
            # Another firing owns the documents now; it will report.
            raise
        except (DeadlineExceeded, Throttled) as error:
            run.status = runs.INTERRUPTED
            run.reason = f"to be resumed by the next firing: {error}"
        except Exception as error:  # noqa: BLE001 - the report is written in any case
            failure = error
            run.status = runs.STOPPED
            known = isinstance(error, PhotoSyncError)
            run.reason = str(error) if known else f"internal error: {type(error).__name__}"
        self._finish()
        if failure:
            raise RunStopped(run.reason) from failure

    def _work(self) -> None:
        run = self._run
        users = scope.read(self._graph, self._settings.user_filter, self._settings.sync_group_id)
        before = run.listed or run.previous_listed
        run.source_fault = run.source_fault or scope.compare(users, before)
        run.listed = len(users) or before or 0
        run.in_scope = run.done() + len(users) - users.position(run.cursor)
        self._save()
        quota = self._reverify_quota()
        sync = self._make_sync(quota - run.reverified)
        for slice_ in self._slices(users):
            results = sync.process(slice_)
            self._forget(slice_)
            run.reverified = quota - sync.reverify_quota
            self._account(results)
            if sync.fatal:
                raise sync.fatal
            finished = self._finished(results)
            if finished < len(results):
                raise DeadlineExceeded(results[finished].detail or "the time budget is spent")
        self._removals.carry_out(sync, save=self._save, check=self._check_time)

    def _make_sync(self, reverify_quota: int) -> Sync:
        settings = self._settings
        return Sync(
            graph=self._graph,
            sharepoint=self._app.sharepoint(self._budget, read_only=settings.dry_run),
            checkpoint=self._checkpoint,
            policy=Policy(
                now=self._clock.time(),
                run=self._run.id,
                remove=settings.remove_photos,
                confirmations=settings.removal_confirmations,
                trust_missing=not self._run.source_fault,
                reverify_days=settings.reverify_days,
            ),
            clock=self._clock,
            sizes=settings.thumbnail_sizes,
            pool=self._pool,
            reading=reading_breaker(probing=self._probing),
            writing=writing_breaker(probing=self._probing),
            reverify_quota=reverify_quota,
            doubtful=self._run.writing,
            note=self._note,
        )

    def _note(self, first: dict[str, ThumbnailLocation]) -> None:
        """Before users are written for the first time: whoever finds this run dead must know."""
        if first and not self._settings.dry_run:
            self._run.writing |= first
            self._save()

    def _forget(self, users: Sequence[User]) -> None:
        """Their records know now what there is to know."""
        if not self._settings.dry_run:
            for user in users:
                self._run.writing.pop(user.id, None)

    def _reverify_quota(self) -> int:
        """Most users to look at again in one run: twice an even share, so that it catches up."""
        days = self._settings.reverify_days
        share = math.ceil(2 * self._run.in_scope / days) if days else 0
        return max(_REVERIFY_AT_LEAST, share)

    def _slices(self, users: Scope) -> Iterator[list[User]]:
        for slice_ in users.slices(slice_size(len(users)), self._run.cursor):
            self._check_time()
            yield slice_

    def _check_time(self) -> None:
        if self._clock.monotonic() >= self._deadline:
            raise DeadlineExceeded("the time budget is spent")

    def _finished(self, results: Sequence[Result]) -> int:
        """How many of the first results have an outcome that counts."""
        return sum(1 for _ in takewhile(lambda r: r.outcome is not Outcome.DEFERRED, results))

    def _account(self, results: Sequence[Result]) -> None:
        """Note what is finished in the report, count it, and move the cursor behind it.

        Whoever comes after the first deferred user gets another turn in the next firing; what was
        done for him is in his record.
        """
        self._lease.check()
        run = self._run
        finished = results[: self._finished(results)]
        # May fail, so it comes first: counts and cursor are of the same users at any time.
        self._checkpoint.append_lines(run, report.lines(finished, self._clock.time()))
        for result in finished:
            run.count(result.outcome)
        self._removals.note(finished)
        if finished:
            run.cursor = finished[-1].user.id
        self._save()

    def _save(self) -> None:
        self._take_counts()
        self._checkpoint.save_run(self._run, self._lease)

    def _take_counts(self) -> None:
        """Add what was sent since the last save to the run."""
        run, meter, counted = self._run, self._meter, self._counted
        for name, number in meter.requests.items():
            run.requests[name] = run.requests.get(name, 0) + number - counted.requests.get(name, 0)
        run.throttled += meter.throttled - counted.throttled
        run.received += meter.received - counted.received
        run.sent += meter.sent - counted.sent
        self._counted = Meter(dict(meter.requests), meter.throttled, meter.received, meter.sent)

    def _finish(self) -> None:
        run = self._run
        run.end(iso(self._clock.time()))
        run.updated = run.ended
        self._take_counts()
        self._lease.check()
        # First: whoever dies in between finds the run unfinished, and writes its report again.
        self._checkpoint.save_report(run)
        self._save()
        report.log_summary(run)
