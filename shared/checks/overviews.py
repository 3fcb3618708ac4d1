"""All checks: in parallel, within a time limit, and once for concurrent callers."""

import os
import threading
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

from shared.app import App
from shared.checkpoint import Run
from shared.checks import portal, schedule, services, storage, tokens
from shared.checks.check import CHECK_SECONDS, Check, bad, good, late
from shared.checks.parallel import result_of, started, wait_for
from shared.errors import ConfigurationError
from shared.log import InvocationLog

FRESH_SECONDS = 300.0
"""How long good results are given again without asking anybody."""

type Overview = tuple[Run | None, list[Check]]


class _Kept(NamedTuple):
    """Good results of the services; `at` in monotonic seconds."""

    app: App
    at: float
    checks: list[Check]


class Overviews:
    """Gives concurrent callers the result of one look; thread-safe.

    A caller who asks while a look is in progress gets its result. Good results of the services are
    kept for `FRESH_SECONDS`, so that a page that polls costs no requests; after a bad one
    everything is looked at again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._flights: dict[int, Future[Overview]] = {}

    def of(self, app: App) -> Overview:
        """The last or current run, and all checks."""
        key = id(app)
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if leads:
            try:
                flight.set_result(self._look(app))
            except BaseException as error:
                flight.set_exception(error)
                raise
            finally:
                with self._lock:
                    del self._flights[key]
        return flight.result()

    def _look(self, app: App) -> Overview:
        log = InvocationLog()
        try:
            return self._checked(app, log)
        finally:
            log.write()

    def _checked(self, app: App, log: InvocationLog) -> Overview:
        kept = self._fresh(app)
        stored = started("storage", partial(storage.check, app, log))
        signed_in = started("portal", partial(portal.checks, os.environ))
        kinds = () if kept else (tokens.graph, tokens.sharepoint)
        given = [started(kind.__name__, partial(kind, app)) for kind in kinds]
        wait_for((stored, signed_in, *given), CHECK_SECONDS)
        found = result_of(stored) or storage.Found(None, late(storage.NAME, "blob storage"))
        if kept is None:
            graph, sharepoint = tokens.judged(app.settings, *map(result_of, given))
            kept = services.checks(app, graph, sharepoint, log)
            self._keep(app, kept)
        timer = schedule.check(app.settings, app.clock.time(), found.run, known=found.check.ok)
        people = result_of(signed_in)
        if people is None:
            people = [late(name, "the app's own address") for name in portal.NAMES]
        return found.run, [_settings(app), found.check, *kept, timer, *people]

    def _fresh(self, app: App) -> list[Check] | None:
        with self._lock:
            kept = self._kept
        if kept and kept.app is app and app.clock.monotonic() - kept.at < FRESH_SECONDS:
            return kept.checks
        return None

    def _keep(self, app: App, checks: list[Check]) -> None:
        good_ones = all(check.ok for check in checks)
        with self._lock:
            self._kept = _Kept(app, app.clock.monotonic(), checks) if good_ones else None


_overviews = Overviews()


def overview(app: App | ConfigurationError) -> Overview:
    """The last or current run, and all checks; within 10 seconds, also when nobody answers.

    Args:
        app: the program, or what is wrong with its settings.
    """
    if isinstance(app, ConfigurationError):
        remedy = (
            "correct these settings: docs/reference.md, settings. Nothing else is checked before"
        )
        return None, [bad("settings", str(app), remedy)]
    return _overviews.of(app)


def _settings(app: App) -> Check:
    if warnings := app.settings.warnings:
        remedy = "correct the names of these settings, or delete the settings"
        return bad("settings", "\n".join(warnings), remedy)
    return good("settings", "complete")
