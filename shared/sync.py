"""Does what `shared.plan` decides, for some users at a time.

The order of effects is the heart of it. All reading comes first; then the records of users whose
files are about to be overwritten withdraw their claim; then files, then profile properties; last
the records claim what is there now. So whenever the process dies, no record claims what SharePoint
does not hold, and repeating the turn repairs whatever was left half done.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import batched

from shared import multipart, plan, thumbnails
from shared.breaker import Breaker
from shared.checkpoint import Checkpoint, Shard, shard_of
from shared.clock import Clock
from shared.errors import (
    ConfigurationError,
    OutOfTime,
    PhotoSyncError,
    ProfileMissing,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
)
from shared.graph import BATCH_SIZE, Graph, NoPhoto, Seen, Unknown, User
from shared.outcomes import Outcome
from shared.places import Place, choose
from shared.plan import Adopt, Check, Fetch, Policy, Settle, Write
from shared.profiles import Profile
from shared.records import Photo, Record
from shared.sharepoint import SharePoint

_log = logging.getLogger("photo_sync.sync")

_ENDS_THE_RUN = (ConfigurationError, TokenUnavailable, StateError)

ROUNDS = 3
"""How often a user is tried whose picture another writer keeps changing meanwhile."""

_DISPUTED = Settle(
    Outcome.FAILED, "another call kept changing this user's picture meanwhile; tried again next run"
)


@dataclass(frozen=True)
class Result:
    """How one user's turn ended.

    Attributes:
        user: whose.
        outcome: exactly one.
        detail: one sentence, may be empty.
        record: what the checkpoint knows now; None when it knows nothing.
        error: the reason of a failure.
    """

    user: User
    outcome: Outcome
    detail: str
    record: Record | None
    error: Exception | None = None


@dataclass
class _Turn:
    """One user's way through the stages; it ends as soon as `settled` is set."""

    user: User
    record: Record | None
    seen: Seen | None = None
    fetch: Fetch | None = None
    removing: bool = False
    profile: Profile | None = None
    place: Place | None = None
    step: Write | Check | Adopt | None = None
    outcome: Outcome = Outcome.UPDATED
    digest: str = ""
    images: thumbnails.Thumbnails | None = None
    begun: bool = False
    settled: Settle | None = None

    @property
    def open(self) -> bool:
        return self.settled is None


class Sync:
    """Takes users through their turns.

    Args:
        graph: reads users' photos.
        sharepoint: reads and writes their pictures; a read-only one for a dry run.
        checkpoint: their records; a read-only one for a dry run.
        policy: of the run, but for the moment: its `now` is set anew for each call.
        clock: where that moment comes from.
        sizes: longest sides of S, M, L in pixels.
        pool: threads that do the turns.
        reading, writing: judge whether Graph and SharePoint are working at all.
        reverify_quota: most users to look at because of their age.
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
        pool: Executor,
        reading: Breaker,
        writing: Breaker,
        reverify_quota: int = 0,
    ) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
        self._checkpoint = checkpoint
        self._policy = policy
        self._clock = clock
        self._sizes = sizes
        self._pool = pool
        self._reading = reading
        self._writing = writing
        self._shards: dict[str, Shard] = {}
        self._fatal: PhotoSyncError | None = None
        self.reverify_quota = reverify_quota

    @property
    def fatal(self) -> PhotoSyncError | None:
        """Why nothing more should be tried; None while all is well."""
        return self._fatal or self._reading.cause or self._writing.cause

    def process(self, users: Sequence[User], *, rounds: int = ROUNDS) -> list[Result]:
        """Take users through their turns and save their records.

        Users that were not finished, because time or the run ended, are `deferred`; then `fatal`
        may say why. Saving happens in any case.

        Args:
            users: in order of their id.
            rounds: so often users whose picture another writer changed meanwhile get a turn.

        Raises:
            StateError: the records cannot be read or written.
        """
        turns = self._start(users)
        for turn in turns:
            if turn.open:
                self._decide(turn)
        self._read_profiles([turn for turn in turns if turn.open and self._needs_profile(turn)])
        self._each(turns, self._prepare, self._reading)
        disputed = self._carry_out(turns)
        results = {turn.user.id: _result(turn) for turn in turns}
        again = [user for user in users if user.id in disputed]
        if again and rounds > 1 and not self.fatal:
            redone = self.process(again, rounds=rounds - 1)
            results |= {result.user.id: result for result in redone}
        return list(results.values())

    def remove(self, users: Sequence[User]) -> list[Result]:
        """Clear SharePoint for users whose photo is confirmed gone, after one more look.

        Whoever has a photo again, or cannot be asked, keeps his picture and stays pending.
        """
        turns = self._start(users)
        for turn in turns:
            turn.removing = turn.open and turn.seen == NoPhoto()
            if turn.open and not turn.removing:
                turn.settled = Settle(Outcome.REMOVAL_PENDING, "not certain any more")
        self._carry_out(turns)
        return [_result(turn) for turn in turns]

    def _carry_out(self, turns: Sequence[_Turn]) -> set[str]:
        """All effects, in their order; returns whom another writer disputes.

        Their records claim nothing then, so that a later turn sets right whatever was shown last.
        """
        disputed = self._save(self._withdrawals(turns))
        for turn in turns:
            if turn.user.id in disputed:
                # Nothing was written yet, and what was read may be older than what is shown now.
                turn.settled = _DISPUTED
        self._each(turns, self._write, self._writing)
        self._judge(turns)
        late = self._save(self._changes(turns))
        for turn in turns:
            if turn.user.id in late:
                turn.settled = _DISPUTED
        return disputed | late

    def _start(self, users: Sequence[User]) -> list[_Turn]:
        """Turns of these users, with their records and the versions of their photos."""
        self._policy = replace(self._policy, now=self._clock.time())
        self._load(users)
        turns = [_Turn(user, self._record(user)) for user in users]
        self._read_versions(turns)
        return turns

    def _load(self, users: Iterable[User]) -> None:
        """Read the shards of these users; those of earlier users are let go."""
        names = {shard_of(user.id) for user in users}
        self._shards = {name: shard for name, shard in self._shards.items() if name in names}
        missing = sorted(names - self._shards.keys())
        for shard in self._pool.map(self._checkpoint.load, missing):
            self._shards[shard.name] = shard

    def _record(self, user: User) -> Record | None:
        return self._shards[shard_of(user.id)].records.get(user.id)

    def _save(self, changes: Mapping[str, Record]) -> set[str]:
        """Save records by shard; returns the ids that another writer changed meanwhile."""
        by_shard: dict[str, dict[str, Record]] = {}
        for user_id, record in changes.items():
            by_shard.setdefault(shard_of(user_id), {})[user_id] = record

        def save(name: str) -> tuple[Shard, set[str]]:
            return self._checkpoint.save(self._shards[name], by_shard[name])

        disputed: set[str] = set()
        for shard, ids in self._pool.map(save, sorted(by_shard)):
            self._shards[shard.name] = shard
            disputed |= ids
        return disputed

    def _read_versions(self, turns: Sequence[_Turn]) -> None:
        def read(batch: tuple[_Turn, ...]) -> None:
            if self.fatal:
                return
            try:
                seen = self._graph.versions([turn.user.id for turn in batch])
            except PhotoSyncError as error:
                for turn in batch:
                    self._note(turn, error)
                return
            for turn in batch:
                answer = seen[turn.user.id]
                turn.seen = answer
                if isinstance(answer, Unknown):
                    self._reading.failed(answer.error)
                else:
                    self._reading.succeeded()

        batches = list(batched(turns, BATCH_SIZE, strict=False))
        self._first_alone(batches, read, self._reading)

    def _decide(self, turn: _Turn) -> None:
        if turn.seen is None:
            turn.settled = Settle(Outcome.DEFERRED)
            return
        policy = self._policy
        if self.reverify_quota <= 0:
            policy = replace(policy, reverify_days=0)
        decision = plan.on_version(turn.seen, turn.record, turn.user.upn, policy)
        if isinstance(decision, Settle):
            turn.settled = decision
        elif isinstance(decision, Fetch):
            turn.fetch = decision
            self.reverify_quota -= decision.verify
        else:
            turn.removing = True
        photo = turn.record.photo if turn.record else None
        if photo and self._sharepoint.accepts(photo.place):
            turn.place = photo.place

    def _needs_profile(self, turn: _Turn) -> bool:
        return turn.fetch is not None and (turn.place is None or turn.fetch.verify)

    def _read_profiles(self, turns: Sequence[_Turn]) -> None:
        def read(batch: tuple[_Turn, ...]) -> None:
            if self.fatal:
                return
            try:
                found = self._sharepoint.profiles([turn.user for turn in batch])
            except PhotoSyncError as error:
                for turn in batch:
                    self._note(turn, error)
                return
            for turn in batch:
                profile = found[turn.user.id]
                if isinstance(profile, Profile):
                    turn.profile = profile
                else:
                    self._note(turn, profile)

        batches = list(batched(turns, multipart.MAX_PARTS, strict=False))
        self._first_alone(batches, read, self._writing)

    def _prepare(self, turn: _Turn) -> None:
        """Everything that is only read: bytes, digest, thumbnails, what SharePoint shows."""
        if turn.fetch is None or (self._needs_profile(turn) and turn.profile is None):
            return
        data = self._graph.photo(turn.user.id)
        if data is None:
            decision = plan.on_version(NoPhoto(), turn.record, turn.user.upn, self._policy)
            turn.settled = decision if isinstance(decision, Settle) else None
            turn.removing = turn.open
            return
        turn.digest = hashlib.sha256(data).hexdigest()
        step = plan.on_bytes(turn.digest, turn.fetch, turn.record, self._policy)
        if isinstance(step, Settle):
            turn.settled = step
            return
        turn.images = thumbnails.render(data, self._sizes)
        turn.step = step
        if turn.profile and turn.place is None:
            host = self._sharepoint.host_of(turn.profile)
            turn.place = choose(
                picture_url=turn.profile.picture_url,
                host=host,
                user_id=turn.user.id,
                upn=turn.user.upn,
                folder=self._sharepoint.folder(host),
            )
        self._compare(turn)

    def _compare(self, turn: _Turn) -> None:
        """Settle without writing when SharePoint is seen to show the right picture."""
        if not turn.profile or not turn.place or not turn.images or isinstance(turn.step, Write):
            return
        good = turn.profile.shows(turn.place)
        if isinstance(turn.step, Check):
            turn.outcome = Outcome.REPAIRED
            good = good and self._sharepoint.has_files(turn.place)
        else:
            # M was written last, so when it is right the others are.
            good = good and self._sharepoint.thumbnail(turn.place, "M") == turn.images.medium
        if good:
            turn.settled = Settle(
                Outcome.UNCHANGED, record=self._done(turn, Outcome.UNCHANGED, verified=True)
            )

    def _withdrawals(self, turns: Iterable[_Turn]) -> dict[str, Record]:
        """Records to save before the first effect: they stop claiming what is being changed."""
        changes = {}
        for turn in turns:
            acts = turn.removing or (turn.step is not None and turn.images is not None)
            if turn.open and acts and turn.record and turn.record.photo:
                turn.record = plan.withdrawn(turn.record, self._policy)
                changes[turn.user.id] = turn.record
        return changes

    def _write(self, turn: _Turn) -> None:
        """Everything that changes SharePoint for one user."""
        if turn.removing:
            self._clear(turn)
            return
        if turn.step is None or turn.images is None or turn.place is None:
            return
        turn.begun = True
        self._sharepoint.upload(turn.place, turn.images)
        self._sharepoint.show(turn.user.upn, turn.place)
        self._writing.succeeded()
        turn.settled = Settle(turn.outcome, record=self._done(turn, turn.outcome, verified=True))

    def _clear(self, turn: _Turn) -> None:
        photo = turn.record.photo if turn.record else None
        turn.begun = True
        if photo:
            self._sharepoint.require(photo.place)
            try:
                self._sharepoint.hide(turn.user.upn, photo.place)
            except ProfileMissing:
                # Nothing shows any more; only the files are left.
                _log.info("no profile for %s: removing the files only", turn.user.id)
            self._sharepoint.recycle(photo.place)
        self._writing.succeeded()
        record = plan.done(
            turn.record, turn.user.upn, self._policy, photo=None, outcome=Outcome.REMOVED
        )
        turn.settled = Settle(Outcome.REMOVED, record=record)

    def _done(self, turn: _Turn, outcome: Outcome, *, verified: bool) -> Record:
        photo = None
        if turn.place and turn.fetch:
            photo = Photo(turn.fetch.etag, turn.digest, turn.place)
        return plan.done(
            turn.record,
            turn.user.upn,
            self._policy,
            photo=photo,
            outcome=outcome,
            verified=verified,
        )

    def _each(
        self, turns: Sequence[_Turn], stage: Callable[[_Turn], None], breaker: Breaker
    ) -> None:
        """Do one stage of all open turns; an error settles only the turn it belongs to."""

        def do(turn: _Turn) -> None:
            if self.fatal:
                return
            try:
                stage(turn)
            except PhotoSyncError as error:
                self._note(turn, error)
            except Exception as error:  # noqa: BLE001 - a bug met by one user is not the end
                _log.exception("user %s: internal error", turn.user.id)
                self._note(turn, error)

        self._first_alone([turn for turn in turns if turn.open], do, breaker)

    def _first_alone[T](
        self, items: Sequence[T], do: Callable[[T], None], breaker: Breaker
    ) -> None:
        """Do all at once; one at a time while it is not known whether the service works again."""
        rest = list(items)
        while rest and breaker.probing and not self.fatal:
            do(rest.pop(0))
        for _ in self._pool.map(do, rest):
            pass

    def _note(self, turn: _Turn, error: Exception) -> None:
        """Settle a turn by its error, or end the run by it."""
        if isinstance(error, _ENDS_THE_RUN):
            self._fatal = self._fatal or error
            return
        if isinstance(error, (Throttled, OutOfTime)):
            turn.settled = Settle(Outcome.DEFERRED, str(error), error=error)
            return
        if isinstance(error, ProfileMissing):
            turn.settled = Settle(Outcome.NO_PROFILE, str(error))
            return
        if isinstance(error, ServiceError):
            graph = error.evidence.service == "graph"
            (self._reading if graph else self._writing).failed(error)
        known = isinstance(error, PhotoSyncError)
        detail = str(error) if known else f"internal error: {type(error).__name__}"
        record = self._begun(turn) if turn.begun else turn.record
        etag = turn.fetch.etag if turn.fetch else ""
        turn.settled = plan.failed(
            record, turn.user.upn, self._policy, detail, error=error, etag=etag
        )

    def _judge(self, turns: Iterable[_Turn]) -> None:
        """Turns that did not end are deferred; so are the failures of a service that is down."""
        stopped = self._reading.cause or self._writing.cause
        for turn in turns:
            if turn.settled is None:
                turn.settled = Settle(Outcome.DEFERRED)
            elif stopped and isinstance(turn.settled.error, ServiceError):
                turn.settled = Settle(Outcome.DEFERRED, turn.settled.detail)

    def _changes(self, turns: Iterable[_Turn]) -> dict[str, Record]:
        """Records to save after the last effect."""
        changes = {}
        for turn in turns:
            record = turn.settled.record if turn.settled else None
            if record is None and turn.begun:
                record = self._begun(turn)
            if record:
                changes[turn.user.id] = record
        return changes

    def _begun(self, turn: _Turn) -> Record | None:
        """The record of a turn that may have changed something and was not finished."""
        if turn.place is None or (turn.record and turn.record.photo):
            return turn.record
        # Files of his may be there now: they are ours, whatever they hold.
        record = plan.done(
            turn.record,
            turn.user.upn,
            self._policy,
            photo=Photo("", "", turn.place),
            outcome=Outcome.DEFERRED,
        )
        return replace(record, failing=turn.record.failing if turn.record else None)


def _result(turn: _Turn) -> Result:
    settled = turn.settled or Settle(Outcome.DEFERRED)
    record = settled.record or turn.record
    return Result(turn.user, settled.outcome, settled.detail, record, settled.error)
