"""Calls for the same user at the same moment: one works, and the others share its result.

Many calls for one user that all write would only disturb each other. A call must see a photo that
changed before the call came, so whoever comes while another call works does not share that one's
result, but that of the next one.
"""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait

from shared.errors import DeadlineExceeded

_STILL_AT_WORK = "another call for this user is still at work. Call again in a minute"


class JoinedCalls[T]:
    """At most one call for a key works at a time, and at most one waits; others join that one.

    A threading matter of one process: calls in other processes are told apart by the checkpoint.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, list[Future[T]]] = {}
        self._lock = threading.Lock()

    def run(self, key: Hashable, work: Callable[[], T], *, seconds: float) -> T:
        """Do the work when it is this call's turn, or share the result of the call that waits.

        Args:
            key: whom the call is about, and how.
            work: of this call.
            seconds: how long other calls are waited for.

        Raises:
            DeadlineExceeded: the other calls took longer.
            Exception: what the work raised, also to those who share it.
        """
        mine: Future[T] = Future()
        with self._lock:
            line = self._lines.setdefault(key, [])
            before, joined = [*line, None, None][:2]
            if joined is None:
                line.append(mine)
        if joined is not None:
            wait([joined], seconds)
            if not joined.done():
                raise DeadlineExceeded(_STILL_AT_WORK)
            return joined.result()
        try:
            if before is not None and wait([before], seconds).not_done:
                raise DeadlineExceeded(_STILL_AT_WORK)  # noqa: TRY301 - shared like any other
            result = work()
        except BaseException as error:
            self._leave(key, mine)
            mine.set_exception(error)
            raise
        self._leave(key, mine)
        mine.set_result(result)
        return result

    def _leave(self, key: Hashable, mine: Future[T]) -> None:
        """Before the next call begins: nobody who comes after that may join it."""
        with self._lock:
            line = self._lines[key]
            line.remove(mine)
            if not line:
                del self._lines[key]
