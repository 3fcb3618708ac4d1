"""Synchronizes everybody in scope: who was deferred first, then all, then who was put aside."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from shared.checkpoint import Checkpoint
from shared.errors import PhotoSyncError
from shared.graph import BATCH_SIZE
from shared.model import User  # noqa: TC001 - a variable is annotated with it
from shared.sync import leavers
from shared.sync.engine import WINDOW_USERS, Engine
from shared.sync.health import Health
from shared.sync.plan import Policy
from shared.sync.progress import Progress
from shared.sync.reader import Versions
from shared.sync.scope import Scope
from shared.sync.steps import STEP_USERS, Step, steps, steps_of


class UsersPass:
    """Takes the users of a run through the engine, and saves the progress after each step.

    Args:
        engine: does the work.
        scope: of the run.
        checkpoint: tells which shards there are.
        progress: of the run.
        health: judges the services.
        width: users who are read and written at once.
        policy: at this moment.
        check_time: tells the engine to end when the time is up.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        scope: Scope,
        checkpoint: Checkpoint,
        progress: Progress,
        health: Health,
        width: int,
        policy: Callable[[], Policy],
        check_time: Callable[[], PhotoSyncError | None],
    ) -> None:
        self._engine = engine
        self._scope = scope
        self._existing = checkpoint.shards()
        self._progress = progress
        self._run = progress.run
        self._health = health
        self._width = min(width, WINDOW_USERS)
        self._policy = policy
        self._check_time = check_time
        self._first = list(self._run.deferred)
        self._last = list(self._run.put_aside)
        self._photos: dict[str, int] = {}
        progress.waiting = self._waiting

    def go(self) -> None:
        """Synchronize everybody.

        Raises:
            PhotoSyncError: why the run has to end; everything that was begun is saved.
        """
        engine = self._engine
        # In windows that are as small as can be: however short the time is, somebody is finished.
        engine.window_users = self._width
        portion = self._portion(max(self._width, BATCH_SIZE))
        for step in steps_of(self._scope.find(self._first), self._existing, portion):
            self._take(step, engine.ask_ahead(step.users))
            self._first = [user_id for user_id in self._first if user_id > step.users[-1].id]
            self._advance()
        self._first = []
        engine.window_users = WINDOW_USERS
        self._take_everybody()
        engine.drain()
        self._go_on()
        self._health.conclude()
        self._go_on()
        self._last = sorted({*self._last, *engine.begin_last_try()})
        for step in steps_of(self._scope.find(self._last), self._existing):
            self._take(step, engine.ask_ahead(step.users))
            self._last = [user_id for user_id in self._last if user_id > step.users[-1].id]
            self._advance()
        self._last = []
        engine.drain()
        self._go_on()

    def _waiting(self) -> tuple[list[str], list[str]]:
        engine = self._engine
        return (
            sorted({*self._first, *engine.unfinished()}),
            sorted({*self._last, *engine.put_aside}),
        )

    def _take_everybody(self) -> None:
        run, engine = self._run, self._engine
        portions = steps(
            self._scope,
            self._existing,
            after_shard=run.shard,
            after_user=run.cursor,
            size=self._portion(STEP_USERS),
        )
        step, asked = self._ask(portions)
        while step:
            # Nobody is asked about ahead before Graph has answered.
            alone = engine.must_prove_versions
            ahead: tuple[Step | None, list[Future[Versions]]] = (None, [])
            if not alone:
                ahead = self._ask(portions)
            self._take(step, asked)
            if step.users:
                run.cursor = step.users[-1].id
            for name in step.complete:
                self._close_shard(name)
            if step.complete:
                run.shard = step.complete[-1]
            self._advance()
            step, asked = self._ask(portions) if alone else ahead

    def _portion(self, most: int) -> Callable[[], int]:
        """How many users are compared next: one batch while Graph has not answered."""
        return lambda: BATCH_SIZE if self._engine.must_prove_versions else most

    def _ask(self, portions: Iterator[Step]) -> tuple[Step | None, list[Future[Versions]]]:
        step = next(portions, None)
        return step, self._engine.ask_ahead(step.users) if step else []

    def _take(self, step: Step, asked: Sequence[Future[Versions]]) -> None:
        engine = self._engine
        engine.load(step.shards)
        for name in step.shards:
            # Before this run writes: so a dry run counts the same.
            records = engine.shards[name].records.values()
            self._photos.setdefault(name, sum(record.photo is not None for record in records))
        engine.compare(step.users, asked)

    def _advance(self) -> None:
        self._engine.advance(lambda name: name <= self._run.shard)
        self._go_on()

    def _go_on(self) -> None:
        """Save the progress, and go on only while nothing speaks against it."""
        engine = self._engine
        if error := self._check_time():
            engine.end(error)
        ended = engine.ended
        if ended:
            engine.drain()
        self._run.reverified += engine.take_reverified()
        self._progress.save()
        if ended:
            raise ended

    def _close_shard(self, name: str) -> None:
        """What there is to know of a shard once all its users are compared."""
        run, policy, engine = self._run, self._policy(), self._engine
        run.photos += self._photos.pop(name, 0)
        records = engine.shards[name].records
        listed = {user.id for user in self._scope.of_shard(name)}
        users = leavers.to_ask(records, listed, policy)
        answers: dict[str, User | PhotoSyncError | None] = {}
        for start in range(0, len(users), STEP_USERS):
            answers |= engine.names(users[start : start + STEP_USERS])
        noticed = leavers.notice(records, listed, answers, policy)
        engine.note(noticed.changes)
        if noticed.due:
            run.leaver_candidates += len(noticed.due)
            self._progress.note_clearing(name)
