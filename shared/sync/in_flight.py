"""Windows on their way: read, withdraw, write, claim, account.

A window is read by worker threads; then its records are withdrawn in one save per shard, and its
writes are handed to other workers. When they have ended, its records claim what is there now, again
in one save per shard, and its users are counted. Where everybody would have to wait for a few
writes that are late, these are left to a later window. So whenever the process dies, no record
claims what SharePoint does not hold.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from itertools import pairwise

from shared.checkpoint import Record
from shared.errors import PhotoSyncError
from shared.log import InvocationLog
from shared.model import User
from shared.sync import plan
from shared.sync.failure_handler import DISPUTED, FailureHandler
from shared.sync.plan import Policy, Settled
from shared.sync.reader import Reader
from shared.sync.shards import Shards
from shared.sync.user_sync import Result
from shared.sync.window import Window
from shared.sync.window_reader import WindowReader
from shared.sync.writer import Writer

LATE_SHARE = 0.1
"""So many of a window's users at most are left to a later window."""


class WindowsInFlight:
    """The windows that were begun and are not finished, in the order in which they were begun.

    Args:
        reader: reads what a window needs.
        writer: writes the picture of one user.
        windows: threads that each read one window by means of the readers.
        writers: threads for writing.
        shards: the records in memory.
        failures: what errors mean.
        policy: of the run, at this moment.
        log: of the invocation.
        account: called with users who are finished, after their records are saved.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        windows: Executor,
        writers: Executor,
        shards: Shards,
        failures: FailureHandler,
        policy: Callable[[], Policy],
        log: InvocationLog,
        account: Callable[[Sequence[Result]], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._windows = windows
        self._writers = writers
        self._shards = shards
        self._failures = failures
        self._policy = policy
        self._log = log
        self._account = account
        self._in_flight: list[Window] = []
        self._reverified = 0

    def __iter__(self) -> Iterator[Window]:
        return iter(self._in_flight)

    def __bool__(self) -> bool:
        return bool(self._in_flight)

    def take_reverified(self) -> int:
        """How many users were looked at because of their age since this was last asked."""
        number, self._reverified = self._reverified, 0
        return number

    def begin(self, window: Window) -> None:
        """Begin to read what a window needs."""
        # From here on it is in flight, so that its users are known if saving fails.
        self._in_flight.append(window)
        fetches = window.fetches
        if self._failures.ended:
            self._failures.deferred += fetches
            window.fetches = {}
            return
        window.looks = {key for key, (_, fetch) in fetches.items() if fetch.verify}
        window.seen |= {user_id: self._shards.record(user_id) for user_id in fetches}
        reader = WindowReader(self._reader, dict(window.seen), self._policy(), window.patience)
        window.reading = self._windows.submit(reader.read, dict(fetches))

    def wait(self) -> None:
        """Wait until something has ended, and go on with it."""
        futures = [future for window in self._in_flight for future in window.futures()]
        if futures:
            wait(futures, return_when=FIRST_COMPLETED)
        self.go_on()

    def go_on(self) -> None:
        """Write what was read, and finish what was written."""
        for window in self._in_flight:
            if window.read:
                self._write_read(window)
        for window in [window for window in self._in_flight if window.written]:
            self._finish(window)
            self._in_flight.remove(window)
        self._log.write()

    def leave_late(self) -> None:
        """Leave the few writes of a window that are late to the one that was begun after it."""
        writing = [window for window in self._in_flight if window.writes]
        for window, following in pairwise(writing):
            late = window.late()
            if window.reading is None and late and len(late) <= len(window) * LATE_SHARE:
                window.hand_over(late, following)

    def _write_read(self, window: Window) -> None:
        """Withdraw the records of a window that was read, and hand its writes to the workers."""
        if window.reading is None:
            return
        reading, window.reading = window.reading.result(), None
        window.settled |= {user.id: (user, settled) for user, settled in reading.settled}
        for user, error, etag in reading.failed:
            self._failures.failed(window, user, error, etag=etag)
        if self._failures.ended:
            self._failures.deferred += [one.user.id for one in reading.prepared]
            window.fetches = {}
            return
        policy = self._policy()
        withdrawn = {
            one.user.id: plan.withdrawn(one.record, one.user, one.location, policy)
            for one in reading.prepared
        }
        # Whose record another writer has changed since it was seen: nothing was written yet, and
        # what was read may be older than what is shown now.
        stale = {key for key in withdrawn if self._shards.record(key) != window.seen[key]}
        disputed = stale | self._shards.save(
            {key: record for key, record in withdrawn.items() if key not in stale}, window.seen
        )
        for one in reading.prepared:
            user_id = one.user.id
            if user_id in disputed:
                self._failures.disputed(window, one.user)
                continue
            window.seen[user_id] = self._shards.record(user_id)
            future = self._writers.submit(self._writer.write, one, policy, window.patience(user_id))
            window.writes[user_id] = (one, future)
        window.fetches = {}

    def _finish(self, window: Window) -> None:
        writes, window.writes = window.writes, {}
        for prepared, future in writes.values():
            user, written = prepared.user, future.result()
            if isinstance(written, Settled):
                window.settled[user.id] = (user, written)
                continue
            # Saved once more after a write that was begun, because another writer may have
            # claimed meanwhile what the files no longer hold; else as if nothing had happened.
            record = window.seen[user.id] if written.begun else prepared.record
            window.changes[user.id] = record
            if (
                not written.begun
                and isinstance(written.error, PhotoSyncError)
                and self._failures.ended
            ):
                self._failures.deferred.append(user.id)
            else:
                self._failures.failed(
                    window, user, written.error, etag=prepared.etag, probe=written.probe
                )
        changes = dict(window.changes)
        changes |= {k: done.record for k, (_, done) in window.settled.items() if done.record}
        disputed = self._shards.save(changes, window.seen)
        finished = []
        for user_id, (user, settled) in sorted(window.settled.items()):
            if user_id not in disputed:
                finished.append(_result(user, settled, self._shards.record(user_id)))
            elif window.last_try:
                finished.append(_result(user, DISPUTED, self._shards.record(user_id)))
            else:
                self._failures.put_aside.append(user_id)
        self._reverified += sum(result.user.id in window.looks for result in finished)
        self._account(finished)


def _result(user: User, settled: Settled, record: Record | None) -> Result:
    return Result(user, settled.outcome, settled.detail, record, settled.error)
