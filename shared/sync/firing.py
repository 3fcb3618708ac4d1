"""One firing at work on a run: list, synchronize, remove; save and report in any case."""

from concurrent.futures import ThreadPoolExecutor

from shared.app import App
from shared.checkpoint import (
    CLEARING,
    COMPLETED,
    DONE,
    INTERRUPTED,
    LISTING,
    RUNNING,
    STOPPED,
    USERS,
    Checkpoint,
    Lease,
    Run,
    RunBlobs,
)
from shared.config import DEFAULT_FILTER, FILTER_OF_VERSION_1
from shared.errors import (
    BrokenState,
    DeadlineExceeded,
    LeaseLost,
    PhotoSyncError,
    RunStopped,
    Throttled,
)
from shared.http import Budget, Meter
from shared.log import InvocationLog
from shared.sync.canary import Canaries
from shared.sync.clearing_pass import ClearingPass
from shared.sync.engine import WINDOWS_AT_ONCE, Engine
from shared.sync.health import Health
from shared.sync.plan import Policy
from shared.sync.progress import Progress
from shared.sync.scope import Listing, Scope, compare
from shared.sync.users_pass import UsersPass

_RESERVE_SECONDS = 20.0
"""Kept of the time budget for saving."""

_SHARE_FOR_LOOKS = 0.5
"""Photos that did not change are looked at again only in the first part of a firing, so that the
looks give way to changed photos."""


class Firing:
    """One firing at work on a run.

    Args:
        app: the program.
        checkpoint: the records; read-only for a dry run.
        lease: held.
        run: to work on.
        log: of the invocation.
        probing: the last firing was stopped.
    """

    def __init__(
        self,
        app: App,
        checkpoint: Checkpoint,
        lease: Lease,
        run: Run,
        log: InvocationLog,
        *,
        probing: bool,
    ) -> None:
        settings = app.settings
        self._settings = settings
        self._clock = app.clock
        self._checkpoint = checkpoint
        self._run = run
        self._log = log
        self._probing = probing
        self._blobs = RunBlobs(checkpoint, run, lease)
        self._began = app.clock.monotonic()
        self._deadline = self._began + settings.time_budget - _RESERVE_SECONDS
        meter = Meter()
        budget = Budget(self._deadline, lease.check, meter)
        self._graph = app.graph(budget)
        self._sharepoint = app.sharepoint(budget, read_only=settings.dry_run, log=log)
        # As the run began: who was counted as a candidate for removal has to stay one.
        run.confirmations = run.confirmations or settings.removal_confirmations
        self._progress = Progress(run, self._blobs, meter, app.clock)

    def go(self) -> None:
        """Work until the end, the deadline or a reason to stop.

        Raises:
            RunStopped: the run ended early; all is saved.
            LeaseLost: another firing owns the documents now, and reports.
            StateError: the documents cannot be saved.
        """
        self._run.status, self._run.reason, self._run.ended = RUNNING, "", ""
        try:
            self._work()
        except LeaseLost:
            raise
        except (DeadlineExceeded, Throttled) as error:
            self._progress.finish(INTERRUPTED, f"to be resumed by the next firing: {error}")
        except Exception as error:
            known = isinstance(error, PhotoSyncError)
            reason = str(error) if known else f"internal error: {type(error).__name__}"
            self._progress.finish(STOPPED, reason)
            raise RunStopped(reason) from error
        else:
            self._progress.finish(COMPLETED)
        finally:
            self._log.write()

    def _work(self) -> None:
        run, threads = self._run, self._settings.max_concurrency
        scope = self._list() if run.phase in {LISTING, USERS} else None
        canaries = Canaries(
            self._graph,
            self._sharepoint,
            self._checkpoint,
            self._clock,
            self._settings.thumbnail_sizes,
        )
        health = Health(canaries.canary, home=self._settings.mysite_url, probing=self._probing)
        with (
            ThreadPoolExecutor(threads, "photo-sync-read") as readers,
            ThreadPoolExecutor(threads, "photo-sync-write") as writers,
            ThreadPoolExecutor(WINDOWS_AT_ONCE, "photo-sync-window") as windows,
        ):
            if scope is not None:
                self._synchronize(
                    scope,
                    health,
                    canaries,
                    readers=readers,
                    writers=writers,
                    windows=windows,
                )
                run.phase, run.cursor = CLEARING, ""
                self._progress.save()
            ClearingPass(
                run=run,
                progress=self._progress,
                settings=self._settings,
                graph=self._graph,
                sharepoint=self._sharepoint,
                checkpoint=self._checkpoint,
                clock=self._clock,
                health=health,
                canaries=canaries,
                pool=readers,
                policy=self._policy,
                check_time=self._require_time,
            ).go()
        run.phase = DONE

    def _list(self) -> Scope:
        """Who is in scope in this run: listed once, whatever happens between its firings."""
        run, settings = self._run, self._settings
        default = settings.user_filter == DEFAULT_FILTER
        listing = Listing(
            self._graph,
            self._blobs,
            user_filter=settings.user_filter,
            fallback=FILTER_OF_VERSION_1 if default else "",
            group_id=settings.sync_group_id,
            check=self._require_time,
        )
        self._progress.save()
        try:
            scope = listing.read()
            if run.phase == USERS and len(scope) != run.listed:
                raise BrokenState("the list of users of this run is gone")  # noqa: TRY301
        except BrokenState:
            # The run cannot go on with other users than it began with: the next firing starts
            # another one.
            self._blobs.delete_pages()
            run.phase = ""
            raise
        finally:
            run.filter_refused = run.filter_refused or listing.filter_refused
        if run.phase == LISTING:
            run.source_fault = run.source_fault or compare(scope, run.previous_listed)
            run.listed = len(scope)
            run.phase = USERS
            self._progress.save()
        return scope

    def _synchronize(
        self,
        scope: Scope,
        health: Health,
        canaries: Canaries,
        *,
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
        windows: ThreadPoolExecutor,
    ) -> None:
        settings = self._settings
        engine = Engine(
            graph=self._graph,
            sharepoint=self._sharepoint,
            checkpoint=self._checkpoint,
            policy=self._policy(),
            clock=self._clock,
            sizes=settings.thumbnail_sizes,
            readers=readers,
            writers=writers,
            windows=windows,
            health=health,
            log=self._log,
            looks=self._has_time_for_looks,
            account=self._progress.account,
        )
        canaries.shards = lambda: engine.shards
        try:
            UsersPass(
                engine=engine,
                scope=scope,
                checkpoint=self._checkpoint,
                progress=self._progress,
                health=health,
                width=settings.max_concurrency,
                policy=self._policy,
                check_time=self._time_is_up,
            ).go()
        except BaseException as error:
            # What the workers still have to do must find that it is over.
            engine.end(error if isinstance(error, PhotoSyncError) else RunStopped("internal error"))
            raise

    def _policy(self) -> Policy:
        settings = self._settings
        return Policy(
            now=self._clock.time(),
            run=self._run.id,
            remove=settings.remove_photos,
            confirmations=self._run.confirmations,
            trust_missing=not self._run.source_fault,
            reverify_days=settings.reverify_days,
            leaver_days=settings.leaver_days,
        )

    def _has_time_for_looks(self) -> bool:
        spent = self._clock.monotonic() - self._began
        return spent < self._settings.time_budget * _SHARE_FOR_LOOKS

    def _time_is_up(self) -> DeadlineExceeded | None:
        if self._clock.monotonic() < self._deadline:
            return None
        return DeadlineExceeded("the time budget is spent")

    def _require_time(self) -> None:
        if error := self._time_is_up():
            raise error
