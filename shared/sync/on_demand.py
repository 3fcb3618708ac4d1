"""One user, now: the call behind `POST /api/sync/{user}`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from shared.app import App
from shared.checkpoint import Checkpoint, Record, Run, Shard, shard_of
from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PatienceExceeded,
    PhotoSyncError,
    StateError,
    Throttled,
    TokenUnavailable,
)
from shared.graph import Graph, NoPhoto, Seen
from shared.http import Budget, Patience
from shared.log import InvocationLog
from shared.model import Outcome, User, is_object_id
from shared.sharepoint import Profile, SharePoint
from shared.sync import plan
from shared.sync.joined_calls import JoinedCalls
from shared.sync.plan import ON_DEMAND, Fetch, Policy, Remove, Settled
from shared.sync.user_sync import Loaded, Prepared, Result, UserSync, failure

PATIENCE_SECONDS = 45.0
"""How long one call works: callers are promised an answer within a minute, the platform cuts at
230 seconds."""

SAVING_SECONDS = 10.0
"""How much longer storage may take to note what was done."""

ROUNDS = 3
"""How often a user is tried whose picture another writer keeps changing meanwhile."""

_calls = JoinedCalls[Result]()

_LEAVES_THE_CALL = (ConfigurationError, TokenUnavailable, StateError)


@dataclass(frozen=True)
class Known:
    """What the checkpoint knows of a user.

    Attributes:
        user_id: object id.
        record: of the user.
    """

    user_id: str
    record: Record


def sync_user(app: App, name: str, *, force: bool = False, dry_run: bool = False) -> Result:
    """Synchronize one user, in scope or not.

    Calls for the same user at the same moment share one result (`joined_calls`).

    Args:
        app: the program.
        name: object id or user principal name.
        force: do as if nothing were recorded; a photo that is gone is removed at first sight.
        dry_run: read and decide, write nothing.

    Raises:
        UserUnknown: the directory has no such user.
        ConfigurationError, TokenUnavailable, StateError: nothing can be done for anybody.
        ServiceError: Graph could not be asked who that is.
        DeadlineExceeded, Throttled: no time.
    """
    deadline = app.clock.monotonic() + PATIENCE_SECONDS
    dry_run = dry_run or app.settings.dry_run

    def work() -> Result:
        log = InvocationLog()
        try:
            return _Call(app, log, deadline, force=force, dry_run=dry_run).sync(name)
        finally:
            log.write()

    return _calls.run((id(app), name.lower(), force, dry_run), work, seconds=PATIENCE_SECONDS)


def known(app: App, name: str) -> Known | None:
    """What the checkpoint knows; None when it knows nothing.

    A name that is no object id is looked up in the directory first.

    Raises:
        UserUnknown: the directory has no such user.
        StateError: the checkpoint cannot be read.
        ServiceError: Graph could not be asked who that is.
    """
    log = InvocationLog()
    budget = Budget(app.clock.monotonic() + PATIENCE_SECONDS)
    user = User(name.lower(), "") if is_object_id(name) else app.graph(budget).user(name)
    checkpoint = app.checkpoint(read_only=True, deadline=budget.deadline, log=log)
    checkpoint.prepare()
    record = checkpoint.load(shard_of(user.id)).records.get(user.id)
    return Known(user.id, record) if record else None


class _Call:
    """One call, with what it needs."""

    def __init__(
        self, app: App, log: InvocationLog, deadline: float, *, force: bool, dry_run: bool
    ) -> None:
        self._app = app
        self._force = force
        self._dry_run = dry_run
        budget = Budget(deadline)
        self._graph: Graph = app.graph(budget)
        self._sharepoint: SharePoint = app.sharepoint(budget, read_only=dry_run, log=log)
        self._checkpoint: Checkpoint = app.checkpoint(
            read_only=dry_run, deadline=budget.deadline + SAVING_SECONDS, log=log
        )
        self._users = UserSync(self._graph, self._sharepoint, app.settings.thumbnail_sizes)

    def sync(self, name: str) -> Result:
        user, seen = self._graph.user_with_version(name)
        self._patience = Patience(PATIENCE_SECONDS, self._app.clock, user.id)
        self._checkpoint.prepare()
        shard = self._checkpoint.load(shard_of(user.id))
        for _ in range(ROUNDS):
            settled, shard, disputed = self._once(user, seen, shard)
            if not disputed:
                # A dry run saves nothing, so what it would record is all there is to show.
                record = settled.record if self._dry_run else shard.records.get(user.id)
                return Result(user, settled.outcome, settled.detail, record, settled.error)
            seen = self._graph.photo_versions([user.id])[user.id]
        return Result(
            user,
            Outcome.FAILED,
            "other calls kept changing this user's picture meanwhile. Call again in a minute",
            shard.records.get(user.id),
        )

    def _once(self, user: User, seen: Seen, shard: Shard) -> tuple[Settled, Shard, bool]:
        """One attempt: what came of it, the shard after it, and whether others interfered."""
        record = shard.records.get(user.id)
        policy = self._policy(record, seen)
        settled = self._read(user, seen, record, policy)
        if isinstance(settled, Settled):
            return self._save(user, settled, shard)
        if isinstance(settled, Prepared):
            location = settled.location
        else:
            assert record is not None  # noqa: S101 - a removal is of a recorded photo
            assert record.photo is not None  # noqa: S101
            location = record.photo.location
        withdrawn = plan.withdrawn(record, user, location, policy)
        shard, disputed = self._checkpoint.save(shard, {user.id: withdrawn})
        if disputed:
            return Settled(Outcome.DEFERRED), shard, True
        after = shard.records.get(user.id, withdrawn)
        try:
            if isinstance(settled, Prepared):
                with ThreadPoolExecutor(1, "photo-sync-call") as pool:
                    done = self._users.write(settled, policy, self._patience, pool=pool)
            else:
                done = self._users.clear(user, after, settled, policy, self._patience)
        except Exception as error:  # noqa: BLE001 - the record is saved in any case
            done = self._failure(user, after, error, policy)
        # Saved also when nothing is new: because who else wrote meanwhile has to be noticed.
        return self._save(user, replace(done, record=done.record or after), shard)

    def _read(
        self, user: User, seen: Seen, record: Record | None, policy: Policy
    ) -> Settled | Prepared | Profile:
        """What is to be written; the profile when the picture is to be cleared."""
        etag = getattr(seen, "etag", "")
        try:
            decision = plan.on_version(seen, record, user, policy)
            if isinstance(decision, Settled):
                self._leave(decision.error)
                return decision
            profile = self._sharepoint.profiles([user])[user.id]
            if isinstance(profile, PhotoSyncError):
                raise profile  # noqa: TRY301 - errors come back as values
            if isinstance(decision, Fetch):
                loaded = self._users.load(user, record, decision, policy, self._patience)
                if isinstance(loaded, Loaded):
                    return self._users.prepare(
                        user, record, loaded, profile, policy=policy, patience=self._patience
                    )
                return profile if isinstance(loaded, Remove) else loaded
            return profile
        except Exception as error:  # noqa: BLE001 - the caller gets an answer in any case
            return self._failure(user, record, error, policy, etag=etag)

    def _failure(
        self, user: User, record: Record | None, error: Exception, policy: Policy, *, etag: str = ""
    ) -> Settled:
        self._leave(error)
        # The patience for the one user is the time of the whole call.
        if isinstance(error, DeadlineExceeded | Throttled | PatienceExceeded):
            return Settled(Outcome.DEFERRED, str(error), error=error)
        return failure(user, record, error, policy, etag=etag)

    def _leave(self, error: Exception | None) -> None:
        """End the call by an error that nobody's outcome can tell."""
        if isinstance(error, _LEAVES_THE_CALL):
            raise error

    def _save(self, user: User, settled: Settled, shard: Shard) -> tuple[Settled, Shard, bool]:
        if settled.record is None:
            return settled, shard, False
        shard, disputed = self._checkpoint.save(shard, {user.id: settled.record})
        return settled, shard, bool(disputed)

    def _policy(self, record: Record | None, seen: Seen) -> Policy:
        settings = self._app.settings
        gone = isinstance(seen, NoPhoto) and record is not None and record.missing is not None
        return Policy(
            now=self._app.clock.time(),
            run=ON_DEMAND,
            remove=settings.remove_photos,
            confirmations=settings.removal_confirmations,
            reverify_days=settings.reverify_days,
            force=self._force,
            nights_agree=gone and _agrees(self._checkpoint.run()),
        )


def _agrees(run: Run | None) -> bool:
    """Whether the last nightly run held no removals back."""
    return (
        run is not None
        and not run.source_fault
        and not run.removals_held_back
        and (not run.removal_note)
    )
