"""The last pass of a run: removals and leavers, shard by shard, with progress of its own."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

from shared.checkpoint import Checkpoint, Run, Shard
from shared.clock import Clock
from shared.config import FILTER_OF_VERSION_1, Settings
from shared.errors import DeadlineExceeded, PhotoSyncError
from shared.graph import Graph
from shared.http import Patience
from shared.model import Outcome, User
from shared.sharepoint import SharePoint
from shared.sync import removals
from shared.sync.canary import Canaries
from shared.sync.health import Health
from shared.sync.plan import Policy
from shared.sync.progress import Progress
from shared.sync.user_sync import Result, UserSync
from shared.sync.window import LAST_PATIENCE_SECONDS


class ClearingPass:
    """Carries out the removals of a run, or holds all of them back.

    Args:
        run: whose users have all been seen.
        progress: of the run.
        settings: limit, confirmations, scope.
        graph, sharepoint: asked again before anything is cleared.
        checkpoint: the records.
        clock: of the program.
        health: judges the services.
        canaries: look for healthy users in the shard that is being cleared.
        pool: threads.
        policy: at this moment.
        check_time: raises when the time is up.
    """

    def __init__(
        self,
        *,
        run: Run,
        progress: Progress,
        settings: Settings,
        graph: Graph,
        sharepoint: SharePoint,
        checkpoint: Checkpoint,
        clock: Clock,
        health: Health,
        canaries: Canaries,
        pool: ThreadPoolExecutor,
        policy: Callable[[], Policy],
        check_time: Callable[[], None],
    ) -> None:
        self._run = run
        self._progress = progress
        self._settings = settings
        self._graph = graph
        self._checkpoint = checkpoint
        self._policy = policy
        self._canaries = canaries
        self._check_time = check_time
        self._clearing = removals.Clearing(
            graph=graph,
            sharepoint=sharepoint,
            checkpoint=checkpoint,
            user_sync=UserSync(graph, sharepoint, settings.thumbnail_sizes),
            health=health,
            pool=pool,
            in_scope=self._in_scope,
            patience=lambda user_id: Patience(LAST_PATIENCE_SECONDS, clock, user_id),
        )

    def go(self) -> None:
        """Clear what is to be cleared.

        Raises:
            DeadlineExceeded, Throttled: the rest is for the next firing.
            PhotoSyncError: why nothing more should be tried.
        """
        run = self._run
        if run.source_fault and not run.removal_note:
            # Whose photo is gone was not even counted as a candidate.
            run.removals_held_back = run.count_of(Outcome.REMOVAL_PENDING)
            run.removal_note = f"nothing is removed: {run.source_fault}"
        if run.clearing and not run.removal_note:
            # Also in a firing that goes on with removals: who sets REMOVE_PHOTOS to false, or
            # lowers the limit, wants to keep the rest.
            settings = self._settings
            limit = removals.decide(
                run, settings.removal_limit.of(run.photos), remove=settings.remove_photos
            )
            run.removal_limit, run.removal_note = limit.allowed, limit.note
            self._progress.save()
        while run.clearing:
            shard = self._checkpoint.load(run.clearing[0])
            self._canaries.shards = {shard.name: shard}.copy
            shard = self._remove(shard)
            self._clear_leavers(shard)
            run.clearing, run.cursor = run.clearing[1:], ""
            self._progress.save()

    def _remove(self, shard: Shard) -> Shard:
        run = self._run
        # Counted in order of the ids, so that the cursor tells who is counted, whoever dies when.
        done = {result.user.id: result for result in removals.uncounted(shard, run)}
        waiting = removals.candidates(shard, run)
        users = sorted([*waiting, *(result.user for result in done.values())], key=_id_of)
        for start in range(0, len(users), removals.AT_ONCE):
            batch = users[start : start + removals.AT_ONCE]
            some = [user for user in batch if user.id not in done]
            self._check_time()
            if run.removal_note:
                results = [
                    Result(user, Outcome.REMOVAL_PENDING, run.removal_note, None) for user in some
                ]
                run.removals_held_back += len(some)
            else:
                shard, results = self._clearing.remove(shard, some, self._policy())
            results += [done[user.id] for user in batch if user.id in done]
            self._count(sorted(results, key=lambda result: result.user.id))
            self._progress.save()
        return shard

    def _count(self, results: Sequence[Result]) -> None:
        """Count users up to the first who was not finished; the next firing goes on with them."""
        run = self._run
        finished = list(takewhile(lambda result: result.outcome is not Outcome.DEFERRED, results))
        run.removals_failed += sum(result.outcome is Outcome.FAILED for result in finished)
        self._progress.count(finished)
        if finished:
            run.cursor = finished[-1].user.id
        if len(finished) < len(results):
            self._progress.save()
            error = results[len(finished)].error
            raise error if isinstance(error, PhotoSyncError) else DeadlineExceeded("no time left")

    def _clear_leavers(self, shard: Shard) -> None:
        run, policy = self._run, self._policy()
        # Midnight, or another LEAVER_DAYS, must not let more through than the limit has seen.
        left = max(0, run.leaver_candidates - run.leavers_cleared - run.leavers_held_back)
        due = removals.due_leavers(shard, policy)[:left]
        if run.removal_note:
            run.leavers_held_back += len(due)
        elif due:
            self._check_time()
            run.leavers_cleared += self._clearing.clear_leavers(shard, due)

    def _in_scope(self, user_ids: Sequence[str]) -> Mapping[str, User | PhotoSyncError | None]:
        refused = self._run.filter_refused
        user_filter = FILTER_OF_VERSION_1 if refused else self._settings.user_filter
        return self._graph.in_scope(user_ids, user_filter, self._settings.sync_group_id)


def _id_of(user: User) -> str:
    return user.id
