"""The last part of a run: removals and leavers, all of them or none, shard by shard.

Photos that are gone from Exchange by mistake (a filter changed, a group was emptied, a service
answers wrongly for everybody) must not be gone from SharePoint too. So nothing is removed before
the whole run has seen everybody, and the number of removals is compared with a limit.

Before anything is cleared, each user is read again by object id: present name, still there, still
in scope, photo still gone. Who is not is left alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import batched

from shared.checkpoint import Checkpoint, Record, Run, Shard
from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    HostUnavailable,
    PhotoSyncError,
    ProfileMissing,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
)
from shared.graph import BATCH_SIZE, Graph, NoPhoto, Seen
from shared.http import Patience
from shared.model import Outcome, User
from shared.sharepoint import Profile, SharePoint
from shared.sync import leavers, plan
from shared.sync.health import Health
from shared.sync.plan import Policy, Settled
from shared.sync.user_sync import Result, UserSync, failure

AT_ONCE = 100
"""Users between two saves of the run's progress: what a crash repeats at most."""

_ENDS_THE_RUN = (ConfigurationError, TokenUnavailable, StateError)


@dataclass(frozen=True)
class Limit:
    """Whether the removals of a run are carried out.

    Attributes:
        allowed: most removals, leavers included.
        note: why nothing is removed; "" when all are.
    """

    allowed: int
    note: str = ""


def decide(run: Run, allowed: int, *, remove: bool) -> Limit:
    """Carry out all removals of the run, or none of them. Pure.

    Args:
        run: whose users have all been seen.
        allowed: removals that REMOVAL_LIMIT allows, of the photos that we wrote.
        remove: REMOVE_PHOTOS; it may have changed since the run began.
    """
    wanted = run.removal_candidates + run.leaver_candidates
    if not remove:
        return Limit(allowed, "nothing is removed: REMOVE_PHOTOS is false")
    if run.source_fault:
        return Limit(allowed, f"nothing is removed: {run.source_fault}")
    if run.previous_listed is None:
        return Limit(
            allowed, "held back: there is no earlier run to compare the list of users with"
        )
    if wanted > allowed:
        return Limit(
            allowed,
            f"held back: {wanted} removals are more than REMOVAL_LIMIT allows ({allowed}). If they "
            "are meant to go, raise REMOVAL_LIMIT for one run",
        )
    return Limit(allowed)


class Clearing:
    """Carries out what a run has to remove in one shard after the other.

    Args:
        graph, sharepoint: asked again before anything is cleared.
        checkpoint: the records.
        user_sync: clears one user.
        health: judges SharePoint.
        pool: threads.
        in_scope: who of these users is still in scope, with their present name.
        patience: by object id.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        sharepoint: SharePoint,
        checkpoint: Checkpoint,
        user_sync: UserSync,
        health: Health,
        pool: Executor,
        in_scope: Callable[[Sequence[str]], Mapping[str, User | PhotoSyncError | None]],
        patience: Callable[[str], Patience],
    ) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
        self._checkpoint = checkpoint
        self._users = user_sync
        self._health = health
        self._pool = pool
        self._in_scope = in_scope
        self._patience = patience

    def remove(
        self, shard: Shard, users: Sequence[User], policy: Policy
    ) -> tuple[Shard, list[Result]]:
        """Clear SharePoint for users of one shard whose photo is confirmed gone.

        Returns:
            The shard as it is now, and how each user ended; `deferred` where the run has to end.
        """
        settled: dict[str, Settled] = {}
        ids = [user.id for user in users]
        for user_id, seen in self._ask(self._graph.photo_versions, ids).items():
            if not isinstance(seen, NoPhoto):
                settled[user_id] = _left_alone("the photo may be back", _error_of(seen))
        present: list[User] = []
        for user_id, user in self._ask(self._in_scope, _rest(ids, settled)).items():
            if isinstance(user, User):
                present.append(user)
            else:
                settled[user_id] = _left_alone(
                    "the user is not known to be in scope any more", user
                )
        cleared: list[tuple[User, Profile]] = []
        for user, profile in self._profiles(present):
            if isinstance(profile, Profile):
                cleared.append((user, profile))
            elif isinstance(profile, ProfileMissing):
                settled[user.id] = Settled(
                    Outcome.NO_PROFILE,
                    "the photo is gone from Exchange, but SharePoint has no profile for this user "
                    "at the moment. The picture is removed when the profile is back",
                )
            else:
                settled[user.id] = _left_alone("the profile cannot be read", profile)
        shard = self._clear(shard, cleared, policy, settled)
        by_id = {user.id: user for user in (*users, *present)}
        return shard, [
            Result(
                by_id[k],
                settled[k].outcome,
                settled[k].detail,
                shard.records.get(k),
                settled[k].error,
            )
            for k in ids
        ]

    def clear_leavers(self, shard: Shard, user_ids: Sequence[str]) -> int:
        """Recycle the thumbnails of users who left, and drop their records; returns how many."""
        users = [User(user_id, shard.records[user_id].upn) for user_id in user_ids]
        answers = self._ask(self._graph.users, [user.id for user in users])
        gone = [user for user in users if answers[user.id] is None]

        def recycle(user: User) -> bool:
            photo = shard.records[user.id].photo
            # Files that version 1 named after a person may be somebody else's by now.
            if (
                photo
                and photo.location.prefix == user.id
                and self._sharepoint.accepts(photo.location)
            ):
                try:
                    self._sharepoint.recycle(photo.location, self._patience(user.id))
                except _ENDS_THE_RUN:
                    raise
                except PhotoSyncError:
                    return False
            return True

        done = [user.id for user, ok in zip(gone, self._pool.map(recycle, gone), strict=True) if ok]
        _, disputed = self._checkpoint.save(shard, dict.fromkeys(done))
        return len(done) - len(disputed)

    def _clear(
        self,
        shard: Shard,
        wanted: Sequence[tuple[User, Profile]],
        policy: Policy,
        settled: dict[str, Settled],
    ) -> Shard:
        """Withdraw the records, clear, and note the result; in this order."""
        before = shard.records
        withdrawn: dict[str, Record | None] = {}
        for user, _ in wanted:
            photo = before[user.id].photo
            if photo:
                withdrawn[user.id] = plan.withdrawn(before[user.id], user, photo.location, policy)
        shard, disputed = self._checkpoint.save(shard, withdrawn)
        for user_id in disputed:
            settled[user_id] = _left_alone("another call changed the picture meanwhile", None)
        rest = [(user, profile) for user, profile in wanted if user.id not in disputed]
        records = shard.records

        def clear(one: tuple[User, Profile]) -> Settled:
            user, profile = one
            return self._clear_one(user, records[user.id], profile, policy)

        for (user, _), done in zip(rest, self._pool.map(clear, rest), strict=True):
            settled[user.id] = done
        # A request that failed for one user is tried once more, after all others.
        again = [one for one in rest if isinstance(settled[one[0].id].error, ServiceError)]
        for (user, _), done in zip(again, self._pool.map(clear, again), strict=True):
            settled[user.id] = done
        changes: dict[str, Record | None] = {
            user.id: settled[user.id].record or records[user.id] for user, _ in rest
        }
        shard, disputed = self._checkpoint.save(shard, changes)
        for user_id in disputed:
            settled[user_id] = _left_alone("another call changed the picture meanwhile", None)
        return shard

    def _clear_one(self, user: User, record: Record, profile: Profile, policy: Policy) -> Settled:
        """Clear one user, in a thread; errors become outcomes."""
        if cause := self._health.cause:
            return Settled(Outcome.DEFERRED, str(cause), error=cause)
        breaker = self._health.writing(profile.host)
        try:
            self._health.require(profile.host)
        except HostUnavailable as error:
            # Nothing was asked. The trouble of one geo is no trouble of the others.
            return failure(user, record, error, policy)
        try:
            settled = self._users.clear(user, record, profile, policy, self._patience(user.id))
        except ProfileMissing as error:
            return _left_alone("SharePoint has no profile for this user any more", error)
        except PhotoSyncError as error:
            if _must_end(error):
                return Settled(Outcome.DEFERRED, str(error), error=error)
            breaker.failed(error, [user.id])
            if cause := self._health.cause:
                return Settled(Outcome.DEFERRED, str(cause), error=cause)
            return failure(user, record, error, policy)
        breaker.succeeded()
        return settled

    def _ask[T](
        self,
        ask: Callable[[Sequence[str]], Mapping[str, T]],
        user_ids: Sequence[str],
    ) -> dict[str, T | PhotoSyncError]:
        """Answers by id; of a batch that failed the error, for each of its users."""

        def one(batch: tuple[str, ...]) -> Mapping[str, T | PhotoSyncError]:
            try:
                return ask(batch)
            except PhotoSyncError as error:
                return dict.fromkeys(batch, error)

        found: dict[str, T | PhotoSyncError] = {}
        for part in self._pool.map(one, batched(user_ids, BATCH_SIZE, strict=False)):
            found.update(part)
        return found

    def _profiles(self, users: Sequence[User]) -> Iterable[tuple[User, Profile | PhotoSyncError]]:
        by_id = {user.id: user for user in users}

        def ask(ids: Sequence[str]) -> Mapping[str, Profile | PhotoSyncError]:
            return self._sharepoint.profiles([by_id[user_id] for user_id in ids])

        found = self._ask(ask, list(by_id))
        return [(by_id[user_id], profile) for user_id, profile in found.items()]


def candidates(shard: Shard, run: Run) -> list[User]:
    """Users of a shard behind the cursor whose removal this run has confirmed, in order. Pure."""
    # In a dry run no record tells what an earlier firing has confirmed.
    noted = frozenset(run.candidates)
    return [
        User(user_id, record.upn)
        for user_id, record in sorted(shard.records.items())
        if user_id > run.cursor
        and (plan.is_confirmed(record, run.id, run.confirmations) or user_id in noted)
    ]


def uncounted(shard: Shard, run: Run) -> list[Result]:
    """Removals that an earlier firing of this run made, but died before counting. Pure.

    They are behind the cursor: a removal that failed left a record that claims nothing.
    """
    found: list[Result] = []
    for user_id, record in shard.records.items():
        if user_id <= run.cursor or record.run != run.id:
            continue
        begun = record.missing is not None and record.missing.run == run.id and not record.claims
        if record.outcome is Outcome.REMOVED or (record.outcome is Outcome.FAILED and begun):
            found.append(Result(User(user_id, record.upn), record.outcome, record.detail, record))
    return found


def due_leavers(shard: Shard, policy: Policy) -> list[str]:
    """Ids of users of a shard who left long enough ago. Pure."""
    return [k for k, record in sorted(shard.records.items()) if leavers.is_due(record, policy)]


def _left_alone(why: str, error: object) -> Settled:
    """The picture stays, and a later run decides again."""
    if isinstance(error, PhotoSyncError) and _must_end(error):
        return Settled(Outcome.DEFERRED, str(error), error=error)
    reason = f" ({error})" if isinstance(error, PhotoSyncError) else ""
    return Settled(Outcome.REMOVAL_PENDING, f"not removed in this run: {why}{reason}")


def _error_of(seen: object) -> PhotoSyncError | None:
    if isinstance(seen, PhotoSyncError):
        return seen
    return getattr(seen, "error", None)


def _must_end(error: PhotoSyncError) -> bool:
    """Whether the run has to end, instead of going on with the next user."""
    return isinstance(error, (*_ENDS_THE_RUN, DeadlineExceeded)) or (
        isinstance(error, Throttled) and not error.own
    )


def _rest(ids: Sequence[str], settled: Mapping[str, Seen | Settled]) -> list[str]:
    return [user_id for user_id in ids if user_id not in settled]
