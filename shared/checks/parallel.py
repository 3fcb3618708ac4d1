"""Runs checks side by side, each for a limited time."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Any

MARGIN_SECONDS = 0.25
"""How much longer than its own limit a check is waited for, so that it can say what it found."""


def started[T](name: str, job: Callable[[], T]) -> Future[T]:
    """Run a job in a thread of its own.

    A thread that hangs is left behind and ends when its connection times out. It is a daemon, so
    that it does not hold up the end of the process.

    Args:
        name: of the thread.
        job: does not log, because the Functions host hears only the thread of the invocation.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(job())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            future.set_exception(error)

    threading.Thread(target=run, name=f"photo-sync-check {name}", daemon=True).start()
    return future


def wait_for(futures: Iterable[Future[Any]], seconds: float) -> None:
    """Wait until all are done or the time is up, by the real clock: connections hang in it."""
    wait(list(futures), seconds + MARGIN_SECONDS)


def result_of[T](future: Future[T]) -> T | None:
    """The result; None when there is none yet.

    Raises:
        Exception: what the job raised.
    """
    return future.result() if future.done() else None
