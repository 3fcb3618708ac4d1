"""Executors without threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any


class Inline(Executor):
    """Does everything at once, in the thread that asks."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        _run(future, lambda: fn(*args, **kwargs))
        return future


class Late(Executor):
    """Does a thing when somebody asks for its result.

    Attributes:
        submitted: how many things there are, done or not.
    """

    def __init__(self) -> None:
        self.submitted = 0

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self.submitted += 1
        return _LateFuture(lambda: fn(*args, **kwargs))


class _LateFuture[T](Future[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> T:
        if not self.done():
            _run(self, self._work)
        return super().result(timeout)


class Held(Executor):
    """Does nothing until it is told to, or until somebody waits."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.waits = 0

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def go(self, count: int = 1_000_000) -> None:
        """Do the first of what is waiting."""
        some, self.waiting = self.waiting[:count], self.waiting[count:]
        for future, work in some:
            _run(future, work)

    def wait(self, futures: Sequence[Future[Any]], return_when: str) -> None:
        """Stands in for `concurrent.futures.wait`: one of these is done."""
        assert return_when == "FIRST_COMPLETED"
        assert not any(future.done() for future in futures)
        self.waits += 1
        first = next(pair for pair in self.waiting if pair[0] in futures)
        self.waiting.remove(first)
        _run(*first)


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - as every executor does
        future.set_exception(error)
