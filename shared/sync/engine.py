"""Takes many users through their turns: `plan` decides, `user_sync` does.

The order of effects is the heart of it. All reading comes first; then the records of users whose
files are about to be written know of these files and claim nothing; then files, then profile
properties; last the records claim what is there now. So whenever the process dies, no record claims
what SharePoint does not hold, and repeating the turn repairs whatever was left half done.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import batched

from shared.checkpoint.records import Record
from shared.checkpoint.store import Checkpoint, Shard, shard_of
from shared.clock import Clock
from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PhotoSyncError,
    ProfileMissing,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
)
from shared.graph.client import Graph
from shared.graph.photo_versions import BATCH_SIZE, NoPhoto, Unknown
from shared.model import Outcome, ThumbnailLocation, User
from shared.sharepoint import batch
from shared.sharepoint.client import SharePoint
from shared.sharepoint.profiles import Profile
from shared.sync.circuit_breaker import CircuitBreaker
from shared.sync.plan import Policy, Settle
from shared.sync.user_sync import Result, Stages, Turn

_log = logging.getLogger("photo_sync.sync")

_ENDS_THE_RUN = (ConfigurationError, TokenUnavailable, StateError)

ROUNDS = 3
"""How often a user is tried whose picture another writer keeps changing meanwhile."""

_DISPUTED = Settle(
    Outcome.FAILED, "another call kept changing this user's picture meanwhile; tried again next run"
)


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
        doubtful: where files of users without a record may be, from a run that died.
        note: keeps in mind, before it happens, where users are written for the first time; None to
            keep it in their records, at the cost of a further write of each shard.
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
        reading: CircuitBreaker,
        writing: CircuitBreaker,
        reverify_quota: int = 0,
        doubtful: Mapping[str, ThumbnailLocation] | None = None,
        note: Callable[[dict[str, ThumbnailLocation]], None] | None = None,
    ) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
        self._checkpoint = checkpoint
        self._policy = policy
        self._clock = clock
        self._stages = Stages(graph, sharepoint, sizes)
        self._pool = pool
        self._reading = reading
        # Versions may be had while the photos behind them fail, but they prove the role.
        self._fetching = reading.beside()
        self._writing = writing
        self._shards: dict[str, Shard] = {}
        self._fatal: PhotoSyncError | None = None
        self.reverify_quota = reverify_quota
        self._doubtful = dict(doubtful or {})
        self._note_first = note

    @property
    def fatal(self) -> PhotoSyncError | None:
        """Why nothing more should be tried; None while all is well."""
        return self._fatal or self._cause

    @property
    def _cause(self) -> PhotoSyncError | None:
        return self._reading.cause or self._fetching.cause or self._writing.cause

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
        self._read_profiles([turn for turn in turns if turn.open and turn.needs_profile])
        self._each(turns, self._prepare, self._fetching)
        return self._carry_out(turns, rounds)

    def remove(self, users: Sequence[User]) -> list[Result]:
        """Clear SharePoint for users whose photo is confirmed gone, after one more look.

        Whoever has a photo again, or cannot be asked, keeps his picture and stays pending.
        """
        turns = self._start(users)
        for turn in turns:
            turn.removing = turn.open and turn.seen == NoPhoto()
            if turn.open and not turn.removing:
                turn.settled = Settle(Outcome.REMOVAL_PENDING, "not certain any more")
        return self._carry_out(turns, ROUNDS)

    def _carry_out(self, turns: Sequence[Turn], rounds: int) -> list[Result]:
        """All effects, in their order, and another turn for whom another writer disputes.

        Until then their records claim nothing, so that nothing wrong is believed if we die here.
        """
        withdrawn = {t.user.id: record for t in turns if (record := t.withdraw())}
        if self._note_first:
            first = [turn for turn in turns if turn.first]
            self._note_first({turn.user.id: turn.place for turn in first if turn.place})
            for turn in first:
                del withdrawn[turn.user.id]
                turn.first = False
        disputed = self._save(withdrawn)
        for turn in turns:
            if turn.user.id in disputed:
                # Nothing was written yet, and what was read may be older than what is shown now.
                turn.settled, turn.first = _DISPUTED, False
        self._each(turns, self._stages.write, self._writing)
        self._judge(turns)
        late = self._save({t.user.id: record for t in turns if (record := t.change())})
        for turn in turns:
            if turn.user.id in late:
                turn.settled = _DISPUTED
        results = {turn.user.id: turn.result() for turn in turns}
        again = [turn.user for turn in turns if turn.user.id in disputed | late]
        if again and rounds > 1 and not self.fatal:
            redone = self.process(again, rounds=rounds - 1)
            results |= {result.user.id: result for result in redone}
        return list(results.values())

    def _start(self, users: Sequence[User]) -> list[Turn]:
        """Turns of these users, with their records and the versions of their photos."""
        self._policy = replace(self._policy, now=self._clock.time())
        self._load(users)
        turns = [Turn(user, self._policy, self._record(user)) for user in users]
        for turn in turns:
            if turn.user.id in self._doubtful:
                turn.assume(self._doubtful[turn.user.id])
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

    def _read_versions(self, turns: Sequence[Turn]) -> None:
        def read(batch: tuple[Turn, ...]) -> None:
            if self.fatal:
                return
            try:
                seen = self._graph.versions([turn.user.id for turn in batch])
            except PhotoSyncError as error:
                self._note_all(batch, error)
                return
            if not all(isinstance(answer, Unknown) for answer in seen.values()):
                # First of all: one poisoned user beside others that were answered is no outage.
                self._reading.succeeded()
            for turn in batch:
                answer = turn.seen = seen[turn.user.id]
                if isinstance(answer, Unknown):
                    turn.probe = self._reading.failed(answer.error)
                else:
                    self._reading.succeeded()
                    self._fetching.answered()

        batches = list(batched(turns, BATCH_SIZE, strict=False))
        self._first_alone(batches, read, self._reading)

    def _decide(self, turn: Turn) -> None:
        if self.reverify_quota <= 0:
            turn.policy = replace(turn.policy, reverify_days=0)
        self._stages.decide(turn)
        self.reverify_quota -= turn.fetch is not None and turn.fetch.verify

    def _read_profiles(self, turns: Sequence[Turn]) -> None:
        def read(batch: tuple[Turn, ...]) -> None:
            if self.fatal:
                return
            try:
                found = self._sharepoint.profiles([turn.user for turn in batch])
            except PhotoSyncError as error:
                self._note_all(batch, error)
                return
            answered = any(isinstance(p, (Profile, ProfileMissing)) for p in found.values())
            for turn in batch:
                profile = found[turn.user.id]
                if isinstance(profile, Profile):
                    turn.profile = profile
                else:
                    self._note(turn, profile, judged=not answered)

        batches = list(batched(turns, batch.MAX_PARTS, strict=False))
        self._first_alone(batches, read, self._writing)

    def _prepare(self, turn: Turn) -> bool:
        done = self._stages.prepare(turn)
        if turn.settled and turn.images:
            # SharePoint was asked, and shows the right picture.
            self._writing.answered()
        return done

    def _each(
        self, turns: Sequence[Turn], stage: Callable[[Turn], bool], breaker: CircuitBreaker
    ) -> None:
        """Do one stage of all open turns; an error settles only the turn it belongs to."""

        def do(turn: Turn) -> None:
            if self.fatal:
                return
            try:
                if stage(turn):
                    breaker.succeeded()
            except PhotoSyncError as error:
                self._note(turn, error)
            except Exception as error:  # noqa: BLE001 - a bug met by one user is not the end
                _log.exception("user %s: internal error", turn.user.id)
                self._note(turn, error)

        self._first_alone([turn for turn in turns if turn.open], do, breaker)

    def _first_alone[T](
        self, items: Sequence[T], do: Callable[[T], None], breaker: CircuitBreaker
    ) -> None:
        """Do all at once; one at a time while it is not known whether the service works again."""
        rest = list(items)
        while rest and breaker.probing and not self.fatal:
            do(rest.pop(0))
        for _ in self._pool.map(do, rest):
            pass

    def _note_all(self, batch: Iterable[Turn], error: PhotoSyncError) -> None:
        """Settle the turns of a batch that failed as a whole; none of them is to blame."""
        for turn in batch:
            self._note(turn, error)
            turn.probe = False

    def _note(self, turn: Turn, error: Exception, *, judged: bool = True) -> None:
        """Settle a turn by its error, or end the run by it.

        Args:
            turn: whose.
            error: any.
            judged: it counts in the judgement of the service.
        """
        if isinstance(error, _ENDS_THE_RUN):
            self._fatal = self._fatal or error
            return
        if isinstance(error, (Throttled, DeadlineExceeded)):
            turn.settled = Settle(Outcome.DEFERRED, str(error), error=error)
            return
        if judged and isinstance(error, ServiceError):
            turn.probe = self._breaker_of(turn, error).failed(error)
        turn.fail(error)

    def _breaker_of(self, turn: Turn, error: ServiceError) -> CircuitBreaker:
        if error.evidence.service != "graph":
            return self._writing
        return self._fetching if turn.seen else self._reading

    def _judge(self, turns: Iterable[Turn]) -> None:
        """Turns that did not end are deferred; so are the failures of a service that is down.

        But not the probe's: if it is he who is poisoned, the next firing must try another user.
        """
        stopped = self._cause
        for turn in turns:
            if turn.settled is None:
                turn.settled = Settle(Outcome.DEFERRED)
            elif stopped and isinstance(turn.settled.error, ServiceError) and not turn.probe:
                turn.settled = Settle(Outcome.DEFERRED, turn.settled.detail)
            if turn.settled.outcome is Outcome.DEFERRED and turn.fetch and turn.fetch.verify:
                self.reverify_quota += 1
