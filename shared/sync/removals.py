"""The removals of a run: the guard in front of them, and carrying them out. Last of all its work.

Photos that are gone from Exchange by mistake (a filter changed, a group was emptied, a service
answers wrongly for everybody) must not be gone from SharePoint too. So removals are collected over
the whole run, compared with a limit, and then all carried out, or none.
"""

from collections.abc import Callable, Iterable
from itertools import batched

from shared.checkpoint import runs
from shared.checkpoint.records import Record
from shared.checkpoint.runs import Run
from shared.checkpoint.store import Checkpoint, shard_of
from shared.clock import Clock
from shared.config.settings import Settings
from shared.errors import DeadlineExceeded
from shared.model import Outcome, User
from shared.sync import plan, report
from shared.sync.engine import Sync
from shared.sync.user_sync import Result

AT_ONCE = 200
"""Removals between two saves of the run's counts."""


class Removals:
    """Collects whose photo is confirmed gone in this run, and clears their pictures at its end.

    Args:
        run: whose counts are kept true.
        checkpoint: records of earlier firings, and the report's lines.
        settings: limit and confirmations.
        clock: for the report's lines.
    """

    def __init__(
        self, *, run: Run, checkpoint: Checkpoint, settings: Settings, clock: Clock
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._settings = settings
        self._clock = clock
        self._candidates: dict[str, User] = {}
        self._unsaved: dict[str, set[str]] = {}

    def note(self, results: Iterable[Result]) -> None:
        """Remember those of a finished slice."""
        run = self._run
        for result in results:
            record = result.record
            if record and self._is_confirmed(record):
                run.removal_candidates += 1
                self._candidates[result.user.id] = result.user
            elif record and record.photo and run.mode == runs.DRY_RUN:
                # Photos that a real run would have recorded by now: the limit counts them.
                self._unsaved.setdefault(shard_of(result.user.id), set()).add(result.user.id)

    def carry_out(self, sync: Sync, *, save: Callable[[], None], check: Callable[[], None]) -> None:
        """Remove all that are confirmed, or none of them.

        Args:
            sync: does it.
            save: called when counts have changed.
            check: called before each part; raises when time is up.

        Raises:
            DeadlineExceeded: the rest is for the next firing.
            PhotoSyncError: why nothing more should be tried.
        """
        run = self._run
        if not self._settings.remove_photos:
            return
        if run.source_fault:
            run.removals_held_back = run.counts.get(Outcome.REMOVAL_PENDING.value, 0)
            run.removal_note = f"nothing is removed: {run.source_fault}"
            return
        if not run.removal_candidates:
            return
        written = self._read_all()
        users = [self._candidates[user_id] for user_id in sorted(self._candidates)]
        run.removal_limit = self._settings.removal_limit.of(written)
        run.removal_note = self._why_hold_back()
        if run.removal_note:
            run.removals_held_back = len(users)
            self._report(
                Result(user, Outcome.REMOVAL_PENDING, run.removal_note, None) for user in users
            )
            return
        for some in batched(users, AT_ONCE, strict=False):
            check()
            results = sync.remove(some)
            done = [result for result in results if result.outcome is not Outcome.DEFERRED]
            for result in done:
                self._count(result.outcome)
            self._report(done)
            save()
            if sync.fatal:
                raise sync.fatal
            if len(done) < len(results):
                raise DeadlineExceeded("the time budget is spent")

    def _is_confirmed(self, record: Record) -> bool:
        return plan.is_confirmed(record, self._run.id, self._settings.removal_confirmations)

    def _why_hold_back(self) -> str:
        run = self._run
        limit = run.removal_limit or 0
        if run.previous_listed is None:
            return "held back: there is no earlier run to compare the list of users with"
        if run.removal_candidates > limit:
            return (
                f"held back: {run.removal_candidates} photos to remove are more than "
                f"REMOVAL_LIMIT allows ({limit}); if they are meant to go, raise REMOVAL_LIMIT "
                "for one run"
            )
        return ""

    def _read_all(self) -> int:
        """Read all records: who else is to be removed, and what earlier firings did of it.

        What they did and died before counting is counted now.

        Returns:
            How many photos of ours there are, those just removed included.
        """
        run = self._run
        written = removed = failed = 0
        for name in sorted({*self._checkpoint.shards(), *self._unsaved}):
            ours = self._unsaved.get(name, set()).copy()
            for user_id, record in self._checkpoint.load(name).records.items():
                if record.photo:
                    ours.add(user_id)
                if self._is_confirmed(record):
                    self._candidates[user_id] = User(user_id, record.upn)
                elif record.run == run.id and record.outcome is Outcome.REMOVED:
                    removed += 1
                elif record.run == run.id and record.outcome is Outcome.FAILED:
                    begun = record.photo is not None and not record.photo.sha256
                    failed += begun and record.missing is not None and record.missing.run == run.id
            written += len(ours)
        for _ in range(run.counts.get(Outcome.REMOVED.value, 0), removed):
            self._count(Outcome.REMOVED)
        for _ in range(run.removals_failed, failed):
            self._count(Outcome.FAILED)
        done = run.counts.get(Outcome.REMOVED.value, 0) + run.removals_failed
        run.removal_candidates = len(self._candidates) + done
        return written + run.counts.get(Outcome.REMOVED.value, 0)

    def _count(self, outcome: Outcome) -> None:
        """A user who was pending got this outcome."""
        run = self._run
        run.count(Outcome.REMOVAL_PENDING, -1)
        run.count(outcome)
        run.removals_failed += outcome is Outcome.FAILED

    def _report(self, results: Iterable[Result]) -> None:
        self._checkpoint.append_lines(self._run, report.lines(results, self._clock.time()))
