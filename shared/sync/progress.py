"""The accounts of a run: counts, lines, and progress, at any time of the same users."""

from collections.abc import Callable, Sequence
from typing import Any

from shared.checkpoint import DRY_RUN, USERS, Run, RunBlobs, iso, shard_of
from shared.clock import Clock
from shared.http import Meter
from shared.sync import plan, report
from shared.sync.user_sync import Result


class Progress:
    """Keeps the accounts of a run.

    Args:
        run: whose.
        blobs: where it is saved.
        meter: counts requests of this firing.
        clock: of the program.
    """

    def __init__(self, run: Run, blobs: RunBlobs, meter: Meter, clock: Clock) -> None:
        self.run = run
        self._blobs = blobs
        self._meter = meter
        self._counted: dict[str, int] = {}
        self._clock = clock
        self._lines: list[dict[str, Any]] = []
        self.waiting: Callable[[], tuple[list[str], list[str]]] = lambda: (
            run.deferred,
            run.put_aside,
        )
        """Users up to the cursor who are not counted: who comes first, and who is tried last."""

    def account(self, results: Sequence[Result]) -> None:
        """Count users who are finished; who is to be removed is counted when that is decided."""
        counted = []
        for result in results:
            record = result.record
            if record and plan.is_confirmed(record, self.run.id, self.run.confirmations):
                self._note_candidate(result.user.id)
            else:
                counted.append(result)
        self.count(counted)

    def count(self, results: Sequence[Result]) -> None:
        """Count users, and note them for the report's lines."""
        for result in results:
            self.run.count(result.outcome)
        self._lines += report.lines(results, self._clock.time())

    def _note_candidate(self, user_id: str) -> None:
        run = self.run
        run.removal_candidates += 1
        if run.mode == DRY_RUN:
            run.candidates.append(user_id)
        self.note_clearing(shard_of(user_id))

    def note_clearing(self, shard: str) -> None:
        """Something is to be removed in this shard at the end of the run."""
        if shard not in self.run.clearing:
            self.run.clearing = sorted([*self.run.clearing, shard])

    def save(self) -> None:
        """Save lines and progress.

        The lines come first, because they may fail: counts and cursor are of the same users.
        """
        run = self.run
        if run.phase == USERS:
            # Whoever is behind the cursor comes by themselves, and nobody comes twice.
            first, last = self.waiting()
            run.deferred = [user_id for user_id in first if user_id <= run.cursor]
            run.put_aside = [k for k in last if k <= run.cursor and k not in set(first)]
        self._take_counts()
        self._blobs.append_lines(self._lines)
        self._lines = []
        self._blobs.save()

    def finish(self, status: str, reason: str = "") -> None:
        """Save the end of the firing: the report first, then the run.

        Whoever dies in between finds the run unfinished, and writes its report again.
        """
        run = self.run
        run.status, run.reason = status, reason
        run.ended = run.updated = iso(self._clock.time())
        self._take_counts()
        self._blobs.save_report()
        if run.finished:
            self._blobs.delete_pages()
        self.save()
        report.log_summary(run)

    def _take_counts(self) -> None:
        """Add what was sent since the last save to the run."""
        run, meter = self.run, self._meter
        for name, number in dict(meter.requests).items():
            run.requests[name] = run.requests.get(name, 0) + self._new(f"requests {name}", number)
        run.throttled += self._new("throttled", meter.throttled)
        run.received += self._new("received", meter.received)
        run.sent += self._new("sent", meter.sent)

    def _new(self, name: str, number: int) -> int:
        """By how much a count of this firing has grown since it was last taken."""
        grown = number - self._counted.get(name, 0)
        self._counted[name] = number
        return grown
