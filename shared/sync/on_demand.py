"""One user, now: the call behind `POST /api/sync/{user}`."""

from dataclasses import dataclass, replace

from shared.app import App
from shared.checkpoint.records import Record
from shared.checkpoint.store import shard_of
from shared.http.service import Budget
from shared.model import User, is_object_id
from shared.sync import plan
from shared.sync.circuit_breaker import reading_breaker, writing_breaker
from shared.sync.engine import Sync
from shared.sync.plan import Policy
from shared.sync.user_sync import Result

PATIENCE_SECONDS = 45.0
"""How long one call works: callers are promised an answer within a minute, the platform cuts at
230 seconds."""

SAVING_SECONDS = 10.0
"""How much longer storage may take to note what was done."""


@dataclass(frozen=True)
class Known:
    """What the checkpoint knows of a user.

    Attributes:
        user_id: object id.
        record: his record.
    """

    user_id: str
    record: Record


def sync_user(app: App, name: str, *, force: bool = False, dry_run: bool = False) -> Result:
    """Synchronise one user, in scope or not.

    Args:
        app: the program.
        name: object id or user principal name.
        force: do as if nothing were recorded; a missing photo is removed at first sight.
        dry_run: read and decide, write nothing.

    Raises:
        UserUnknown: the directory has no such user.
        ConfigurationError, TokenUnavailable, StateError: nothing can be done for anybody.
        ServiceError: Graph could not be asked who that is.
        DeadlineExceeded, Throttled: no time.
    """
    settings = app.settings
    dry_run = dry_run or settings.dry_run
    budget = Budget(app.clock.monotonic() + PATIENCE_SECONDS)
    graph = app.graph(budget)
    user = graph.user(name)
    checkpoint = app.checkpoint(read_only=dry_run, deadline=budget.deadline + SAVING_SECONDS)
    checkpoint.prepare()
    with app.pool() as pool:
        sync = Sync(
            graph=graph,
            sharepoint=app.sharepoint(budget, read_only=dry_run),
            checkpoint=checkpoint,
            policy=Policy(
                now=app.clock.time(),
                run=plan.ON_DEMAND,
                remove=settings.remove_photos,
                confirmations=settings.removal_confirmations,
                reverify_days=settings.reverify_days,
                force=force,
            ),
            clock=app.clock,
            sizes=settings.thumbnail_sizes,
            pool=pool,
            reading=reading_breaker(),
            writing=writing_breaker(),
            reverify_quota=1,
        )
        result = sync.process([user])[0]
    if sync.fatal:
        raise sync.fatal
    return replace(result, user=user)


def known(app: App, name: str) -> Known | None:
    """What the checkpoint knows; None when it knows nothing.

    A name that is no object id is looked up in the directory first.

    Raises:
        UserUnknown: the directory has no such user.
        StateError: the checkpoint cannot be read.
        ServiceError: Graph could not be asked who that is.
    """
    budget = Budget(app.clock.monotonic() + PATIENCE_SECONDS)
    user = User(name.lower(), "") if is_object_id(name) else app.graph(budget).user(name)
    checkpoint = app.checkpoint(read_only=True, deadline=budget.deadline)
    checkpoint.prepare()
    record = checkpoint.load(shard_of(user.id)).records.get(user.id)
    return Known(user.id, record) if record else None
