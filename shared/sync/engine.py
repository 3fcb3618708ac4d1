"""Takes many users through the run: compare, collect into windows, set these on their way.

The main thread takes users in order of their id, compares photo versions, and collects those who
need more into a window. While windows are on their way (`in_flight`), the next users are compared.
At most 500 users are compared and not finished, so much work is repeated when the process dies.

A user whose request fails is put aside (`failure_handler`); the run goes on and tries them once
more at its end. Only a service that answers nobody stops a run (`circuit_breaker`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import batched

from shared.checkpoint import Checkpoint, Record, Shard
from shared.clock import Clock
from shared.errors import PhotoSyncError
from shared.graph import BATCH_SIZE, Graph, Seen, Unknown
from shared.log import InvocationLog
from shared.model import User
from shared.sharepoint import SharePoint
from shared.sync import plan
from shared.sync.failure_handler import FailureHandler
from shared.sync.health import Health
from shared.sync.in_flight import WindowsInFlight
from shared.sync.plan import Fetch, Policy, Settled
from shared.sync.reader import Reader, Versions
from shared.sync.shards import Shards
from shared.sync.user_sync import Result, UserSync
from shared.sync.window import Window
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

PROBES = 20
"""After the last firing was stopped, so many users at most are tried one by one: on a night on
which nobody needs to be written, the rest must not wait for a proof."""

WINDOW_SECONDS = 60.0
"""So long at most a user waits for a window to fill."""

RECORDS_IN_MEMORY = 20_000
"""With more records in its shards a window is taken on, and with more in flight nothing more is
begun, so that shards can be let go."""


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
        self._health = health
        self._looks = looks
        self._account = account
        self._shards = Shards(checkpoint, readers)
        self._failures = FailureHandler(health, self._shards, self._now)
        self._reader = Reader(
            graph=graph,
            sharepoint=sharepoint,
            user_sync=users,
            pool=readers,
            health=health,
            log=log,
            ended=lambda: self.ended,
        )
        self._in_flight = WindowsInFlight(
            reader=self._reader,
            writer=Writer(users, health=health, log=log, clock=clock, ended=lambda: self.ended),
            windows=windows,
            writers=writers,
            shards=self._shards,
            failures=self._failures,
            policy=self._now,
            log=log,
            account=account,
        )
        self._window = Window(clock)
        self._compared = 0
        self._probed = 0
        self.window_users = WINDOW_USERS
        """Users who fill a window."""

    @property
    def ended(self) -> PhotoSyncError | None:
        """Why nothing more should be begun; None while all is well."""
        return self._failures.ended

    @property
    def put_aside(self) -> list[str]:
        """Users whose request failed; they are to be tried once more."""
        return self._failures.put_aside

    @property
    def deferred(self) -> list[str]:
        """Users who were not finished, because the run has to end."""
        return self._failures.deferred

    @property
    def must_prove_versions(self) -> bool:
        """Whether the last firing was stopped, and Graph has not answered since."""
        return self._health.versions.probing

    def end(self, error: PhotoSyncError) -> None:
        """Begin nothing more; the first cause counts."""
        self._failures.end(error)

    def unfinished(self) -> list[str]:
        """Users who were compared and are neither counted nor put aside."""
        windows = (self._window, *self._in_flight)
        return sorted({*self.deferred, *(key for window in windows for key in window.ids())})

    def names(self, users: Sequence[User]) -> dict[str, User | PhotoSyncError | None]:
        """Present names by id; None for whom the directory does not have."""
        return self._reader.names(users)

    def take_reverified(self) -> int:
        """How many users were looked at because of their age since this was last asked."""
        return self._in_flight.take_reverified()

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
        policy = self._now()
        for batch, future in zip(batched(users, BATCH_SIZE, strict=False), asked, strict=True):
            versions = future.result()
            for user in batch:
                if isinstance(versions, PhotoSyncError):
                    self._failures.failed(self._window, user, versions)
                else:
                    finished += self._compare(user, versions[user.id], policy)
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
                self._in_flight.wait()
        if self._compared >= QUIET_USERS or self._is_full():
            self._compared = 0
            # Complete shards first: their users are all together, so one save serves them.
            self._take_on(self._window.split(is_complete))
        if self._is_full():
            self._take_on_all()
        self._in_flight.go_on()
        while self._in_flight and self._is_too_much():
            self._in_flight.leave_late()
            self._in_flight.wait()

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
            self._in_flight.wait()

    def begin_last_try(self) -> list[str]:
        """From now on, who fails is `failed`; returns who was put aside."""
        self.drain()
        self._window.last_try = True
        return self._failures.take_put_aside()

    def _now(self) -> Policy:
        """The policy at this moment."""
        return replace(self._policy, now=self._clock.time(), looks=self._looks())

    def _compare(self, user: User, seen: Seen, policy: Policy) -> list[Result]:
        """Decide by the version; the result of who is finished, nothing for who goes on."""
        record = self._shards.record(user.id)
        decision = plan.on_version(seen, record, user, policy)
        if isinstance(decision, Fetch):
            self._window.fetches[user.id] = (user, decision)
        elif not isinstance(decision, Settled):
            raise AssertionError("a run removes at its end only")  # noqa: TRY004 - never
        elif isinstance(seen, Unknown) and decision.error is not None:
            self._failures.failed(self._window, user, seen.error)
        elif decision.record is not None:
            self._window.settled[user.id] = (user, decision)
            self._window.seen[user.id] = record
        else:
            return [Result(user, decision.outcome, decision.detail, record)]
        return []

    def _take_on_all(self) -> None:
        window = self._window
        self._window = Window(self._clock, window.last_try)
        self._compared = 0
        self._take_on(window)

    def _take_on(self, window: Window) -> None:
        """Begin to read what a window needs, in parts if it is far too large."""
        while len(window.fetches) > 2 * self.window_users:
            self._in_flight.begin(window.split_first(self.window_users))
        if window:
            self._in_flight.begin(window)
