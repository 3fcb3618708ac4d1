"""Takes many users through the run: compare, read, withdraw, write, claim, account.

The main thread takes users in order of their id, compares photo versions, and collects those who
need more into a window. A window is read by worker threads; then its records are withdrawn in one
save per shard, and its writes are handed to other workers. Meanwhile the next users are compared
and the next windows are read. When a window's writes have ended, its records claim what is there
now, again in one save per shard, and its users are counted. Where everybody would have to wait for
a few writes that are late, these are left to a later window. So whenever the process dies, no
record claims what SharePoint does not hold, and at most 500 users of work are repeated.

A user whose request fails is put aside; the run goes on and tries them once more at its end. Only a
service that answers nobody stops a run (`circuit_breaker`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import replace
from itertools import batched, pairwise

from shared.checkpoint import Checkpoint, Record, Shard
from shared.clock import Clock
from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PhotoSyncError,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
)
from shared.graph import BATCH_SIZE, Graph, Seen, Unknown
from shared.log import InvocationLog
from shared.model import Outcome, User
from shared.sharepoint import SharePoint
from shared.sync import plan
from shared.sync.health import Health
from shared.sync.plan import Fetch, Policy, Settled
from shared.sync.reader import Reader, Versions
from shared.sync.shards import Shards
from shared.sync.user_sync import Result, UserSync, failure
from shared.sync.window import Window
from shared.sync.window_reader import WindowReader
from shared.sync.writer import Writer

WINDOW_USERS = 60
"""Users who are read, withdrawn and claimed together."""

QUIET_USERS = 400
"""After so many compared users a smaller window is taken on, as far as its shards are complete: so
a large shard is written twice in a night, and a small tenant's windows are of many shards."""

UNFINISHED_USERS = 400
"""Users in windows at once. Beside the 100 who are compared next this is what a crash can cost at
most."""

WINDOWS_AT_ONCE = 3
"""Windows that are read at once: one request that takes seconds holds up only its own window."""

LATE_SHARE = 0.1
"""So many of a window's users at most are left to a later window."""

PROBES = 20
"""After the last firing was stopped, so many users at most are tried one by one: on a night on
which nobody needs to be written, the rest must not wait for a proof."""

WINDOW_SECONDS = 60.0
"""So long at most a user waits for a window to fill."""

RECORDS_IN_MEMORY = 20_000
"""With more records in its shards a window is taken on, and with more in flight nothing more is
begun, so that shards can be let go."""

_ENDS_THE_RUN = (ConfigurationError, TokenUnavailable, StateError)

_DISPUTED = Settled(
    Outcome.FAILED,
    "another call kept changing this user's picture during the run. Nothing to do: the next run "
    "tries again",
)


class Engine:
    """Takes users through a run.

    Args:
        graph: reads users' photos.
        sharepoint: reads and writes their pictures; a read-only one for a dry run.
        checkpoint: their records; a read-only one for a dry run.
        policy: of the run, but for the moment: its `now` is set anew as time passes.
        clock: of the program.
        sizes: longest sides of S, M, L in pixels.
        readers, writers: threads for reading, and for writing.
        windows: threads that each read one window by means of the readers.
        health: judges the services.
        log: of the invocation.
        looks: whether there is time to look again at photos that did not change.
        account: called with users who are finished, after their records are saved.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        sharepoint: SharePoint,
        checkpoint: Checkpoint,
        policy: Policy,
        clock: Clock,
        sizes: tuple[int, int, int],
        readers: Executor,
        writers: Executor,
        windows: Executor,
        health: Health,
        log: InvocationLog,
        looks: Callable[[], bool],
        account: Callable[[Sequence[Result]], None],
    ) -> None:
        self._policy = policy
        self._clock = clock
        users = UserSync(graph, sharepoint, sizes)
        self._writers = writers
        self._windows = windows
        self._health = health
        self._log = log
        self._looks = looks
        self._account = account
        self._reader = Reader(
            graph=graph,
            sharepoint=sharepoint,
            user_sync=users,
            pool=readers,
            health=health,
            log=log,
            ended=lambda: self.ended,
        )
        self._writer = Writer(users, health=health, log=log, clock=clock, ended=lambda: self.ended)
        self._shards = Shards(checkpoint, readers)
        self._window = Window(clock)
        self._in_flight: list[Window] = []
        self._compared = 0
        self._error: PhotoSyncError | None = None
        self.put_aside: list[str] = []
        """Users whose request failed; they are to be tried once more."""
        self.deferred: list[str] = []
        """Users who were not finished, because the run has to end."""
        self._reverified = 0
        self._probed = 0
        self.window_users = WINDOW_USERS
        """Users who fill a window."""

    @property
    def ended(self) -> PhotoSyncError | None:
        """Why nothing more should be begun; None while all is well."""
        return self._error or self._health.cause

    @property
    def must_prove_versions(self) -> bool:
        """Whether the last firing was stopped, and Graph has not answered since."""
        return self._health.versions.probing

    def end(self, error: PhotoSyncError) -> None:
        """Begin nothing more; the first cause counts."""
        if self.ended is None:
            self._error = error

    def unfinished(self) -> list[str]:
        """Users who were compared and are neither counted nor put aside."""
        windows = (self._window, *self._in_flight)
        return sorted({*self.deferred, *(key for window in windows for key in window.ids())})

    def names(self, users: Sequence[User]) -> dict[str, User | PhotoSyncError | None]:
        """Present names by id; None for whom the directory does not have."""
        return self._reader.names(users)

    def take_reverified(self) -> int:
        """How many users were looked at because of their age since this was last asked."""
        number, self._reverified = self._reverified, 0
        return number

    @property
    def shards(self) -> Mapping[str, Shard]:
        """The shards that are loaded, by name."""
        return self._shards.loaded()

    def load(self, names: Iterable[str]) -> None:
        """Load shards, and let go of those that nobody needs any more."""
        windows = (self._window, *self._in_flight)
        self._shards.load(names, keep=(name for w in windows for name in w.shards()))

    def ask_ahead(self, users: Sequence[User]) -> list[Future[Versions]]:
        """Begin to ask for the photo versions of users."""
        return self._reader.ask_versions(users)

    def compare(self, users: Sequence[User], asked: Sequence[Future[Versions]]) -> None:
        """Compare users whose shards are loaded; who needs more than that joins the window.

        Args:
            users: in order of their id.
            asked: from `ask_ahead` for the same users.
        """
        finished = []
        self._now()
        for batch, future in zip(batched(users, BATCH_SIZE, strict=False), asked, strict=True):
            versions = future.result()
            for user in batch:
                if isinstance(versions, PhotoSyncError):
                    self._on_error(self._window, user, versions)
                else:
                    finished += self._compare(user, versions[user.id])
        self._compared += len(users)
        self._account(finished)

    def note(self, changes: Mapping[str, Record | None]) -> None:
        """Save these records with the window; None drops one."""
        self._window.changes |= changes

    def advance(self, is_complete: Callable[[str], bool]) -> None:
        """Take the window on when it is full, and finish windows whose writes have ended.

        Args:
            is_complete: tells whether all users of a shard have been compared.
        """
        while self._must_probe():
            # The last firing was stopped: one user shows whether writing works again.
            self._probed += 1
            self._take_on(self._window.split_first(1))
            while self._in_flight:
                self._wait()
        if self._compared >= QUIET_USERS or self._is_full():
            self._compared = 0
            # Complete shards first: their users are all together, so one save serves them.
            self._take_on(self._window.split(is_complete))
        if self._is_full():
            self._take_on_all()
        self._go_on()
        while self._in_flight and self._is_too_much():
            self._leave_late()
            self._wait()

    def _is_full(self) -> bool:
        window = self._window
        age = self._clock.monotonic() - window.opened
        return bool(window) and (
            len(window) >= self.window_users
            or age >= WINDOW_SECONDS
            or self._shards.records_of(window.shards()) >= RECORDS_IN_MEMORY
        )

    def _is_too_much(self) -> bool:
        in_flight = self._in_flight
        names = (name for window in in_flight for name in window.shards())
        return (
            sum(map(len, (self._window, *in_flight))) > UNFINISHED_USERS
            or self._shards.records_of(names) > RECORDS_IN_MEMORY
        )

    def _must_probe(self) -> bool:
        return (
            self._health.probing
            and self._probed < PROBES
            and bool(self._window.fetches)
            and self.ended is None
        )

    def drain(self) -> None:
        """Finish everything that was begun."""
        self._take_on_all()
        while self._in_flight:
            self._wait()

    def begin_last_try(self) -> list[str]:
        """From now on, who fails is `failed`; returns who was put aside."""
        self.drain()
        self._window.last_try = True
        ids, self.put_aside = sorted(self.put_aside), []
        return ids

    # ---- compare --------------------------------------------------------------------------------

    def _now(self) -> Policy:
        """The policy at this moment."""
        self._policy = replace(self._policy, now=self._clock.time(), looks=self._looks())
        return self._policy

    def _compare(self, user: User, seen: Seen) -> list[Result]:
        """Decide by the version; the result of who is finished, nothing for who goes on."""
        record = self._shards.record(user.id)
        decision = plan.on_version(seen, record, user, self._policy)
        if isinstance(decision, Fetch):
            self._window.fetches[user.id] = (user, decision)
        elif not isinstance(decision, Settled):
            raise AssertionError("a run removes at its end only")  # noqa: TRY004 - never
        elif isinstance(seen, Unknown) and decision.error is not None:
            self._on_error(self._window, user, seen.error)
        elif decision.record is not None:
            self._window.settled[user.id] = (user, decision)
            self._window.seen[user.id] = record
        else:
            return [Result(user, decision.outcome, decision.detail, record)]
        return []

    def _on_error(
        self,
        window: Window,
        user: User,
        error: Exception,
        *,
        etag: str = "",
        probe: bool = False,
    ) -> None:
        """What an error means for a user: the end of the run, another try, or their outcome."""
        if isinstance(error, PhotoSyncError) and _ends_the_run(error):
            self.end(error)
            self.deferred.append(user.id)
        elif probe or not isinstance(error, ServiceError):
            self._fail(window, user, error, etag)
        elif self.ended is not None:
            self.deferred.append(user.id)
        elif window.last_try:
            self._fail(window, user, error, etag)
        else:
            self.put_aside.append(user.id)

    def _fail(self, window: Window, user: User, error: Exception, etag: str) -> None:
        record = window.seen.setdefault(user.id, self._shards.record(user.id))
        window.settled[user.id] = (user, failure(user, record, error, self._policy, etag=etag))

    # ---- read, withdraw, write ------------------------------------------------------------------

    def _take_on_all(self) -> None:
        window = self._window
        self._window = Window(self._clock, window.last_try)
        self._compared = 0
        self._take_on(window)

    def _take_on(self, window: Window) -> None:
        """Begin to read what a window needs, in parts if it is far too large."""
        while len(window.fetches) > 2 * self.window_users:
            self._begin(window.split_first(self.window_users))
        if window:
            self._begin(window)

    def _begin(self, window: Window) -> None:
        # From here on it is in flight, so that its users are known if saving fails.
        self._in_flight.append(window)
        fetches = window.fetches
        if self.ended:
            self.deferred += fetches
            window.fetches = {}
            return
        window.looks = {key for key, (_, fetch) in fetches.items() if fetch.verify}
        window.seen |= {user_id: self._shards.record(user_id) for user_id in fetches}
        reader = WindowReader(self._reader, dict(window.seen), self._now(), window.patience)
        window.reading = self._windows.submit(reader.read, dict(fetches))

    def _write_read(self, window: Window) -> None:
        """Withdraw the records of a window that was read, and hand its writes to the workers."""
        if window.reading is None:
            return
        reading, window.reading = window.reading.result(), None
        window.settled |= {user.id: (user, settled) for user, settled in reading.settled}
        for user, error, etag in reading.failed:
            self._on_error(window, user, error, etag=etag)
        if self.ended:
            self.deferred += [one.user.id for one in reading.prepared]
            window.fetches = {}
            return
        policy = self._now()
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
                self._on_dispute(window, one.user)
                continue
            window.seen[user_id] = self._shards.record(user_id)
            future = self._writers.submit(self._writer.write, one, policy, window.patience(user_id))
            window.writes[user_id] = (one, future)
        window.fetches = {}

    def _on_dispute(self, window: Window, user: User) -> None:
        if window.last_try:
            window.settled[user.id] = (user, _DISPUTED)
        else:
            self.put_aside.append(user.id)

    # ---- claim, account -------------------------------------------------------------------------

    def _wait(self) -> None:
        """Wait until something has ended, and go on with it."""
        futures = [future for window in self._in_flight for future in window.futures()]
        if futures:
            wait(futures, return_when=FIRST_COMPLETED)
        self._go_on()

    def _go_on(self) -> None:
        """Write what was read, and finish what was written."""
        for window in self._in_flight:
            if window.read:
                self._write_read(window)
        for window in [window for window in self._in_flight if window.written]:
            self._finish(window)
            self._in_flight.remove(window)
        self._log.write()

    def _leave_late(self) -> None:
        """Leave the few writes of a window that are late to the one that was begun after it."""
        writing = [window for window in self._in_flight if window.writes]
        for window, following in pairwise(writing):
            late = window.late()
            if window.reading is None and late and len(late) <= len(window) * LATE_SHARE:
                window.hand_over(late, following)

    def _finish(self, window: Window) -> None:
        self._now()
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
            if not written.begun and isinstance(written.error, PhotoSyncError) and self.ended:
                self.deferred.append(user.id)
            else:
                self._on_error(window, user, written.error, etag=prepared.etag, probe=written.probe)
        changes = dict(window.changes)
        changes |= {k: done.record for k, (_, done) in window.settled.items() if done.record}
        disputed = self._shards.save(changes, window.seen)
        finished = []
        for user_id, (user, settled) in sorted(window.settled.items()):
            if user_id not in disputed:
                finished.append(_result(user, settled, self._shards.record(user_id)))
            elif window.last_try:
                finished.append(_result(user, _DISPUTED, self._shards.record(user_id)))
            else:
                self.put_aside.append(user_id)
        self._reverified += sum(result.user.id in window.looks for result in finished)
        self._account(finished)


def _result(user: User, settled: Settled, record: Record | None) -> Result:
    return Result(user, settled.outcome, settled.detail, record, settled.error)


def _ends_the_run(error: PhotoSyncError) -> bool:
    """Whether nobody can be helped: no time is left, or something is wrong for everybody.

    A pause that was asked for one user is that user's own.
    """
    if isinstance(error, Throttled):
        return not error.own
    return isinstance(error, (*_ENDS_THE_RUN, DeadlineExceeded))
