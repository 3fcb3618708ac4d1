"""Calls for the same user at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from shared.errors import DeadlineExceeded
from shared.sync.joined_calls import JoinedCalls

LONG = 30.0


class Work:
    """Work that ends when the test says so; its result is what was true when it began."""

    def __init__(self) -> None:
        self.truth = 0
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        seen = self.truth
        self.began.release()
        assert self.may_end.acquire(timeout=LONG)
        return seen


def in_line(calls: JoinedCalls[int], number: int) -> None:
    """Wait until so many calls for the key are in the line."""
    for _ in range(1_000_000):
        if len(calls._lines.get("key", ())) == number:
            return
    pytest.fail("nobody came")


def start(
    pool: ThreadPoolExecutor, calls: JoinedCalls[int], work: Callable[[], int]
) -> Future[int]:
    """Call in another thread."""
    return pool.submit(calls.run, "key", work, seconds=LONG)


def test_who_comes_meanwhile_shares_the_next_result() -> None:
    """Not the result of the call at work, which may have read an older photo."""
    calls, work = JoinedCalls[int](), Work()
    with ThreadPoolExecutor() as pool:
        first = start(pool, calls, work)
        assert work.began.acquire(timeout=LONG)
        work.truth = 1
        second = start(pool, calls, work)
        in_line(calls, 2)
        others = [start(pool, calls, work) for _ in range(3)]
        work.may_end.release(2)
        assert first.result(LONG) == 0
        assert second.result(LONG) == 1
        # Whoever of them came after the second had begun worked alone.
        work.may_end.release(3)
        assert [other.result(LONG) for other in others] == [1, 1, 1]
    in_line(calls, 0)


def test_other_keys_do_not_wait() -> None:
    """Calls for other users, or with other options, go on."""
    calls, work = JoinedCalls[int](), Work()
    with ThreadPoolExecutor() as pool:
        first = start(pool, calls, work)
        assert work.began.acquire(timeout=LONG)
        assert calls.run("other", lambda: 7, seconds=LONG) == 7
        work.may_end.release()
        assert first.result(LONG) == 0


def test_a_failed_call_does_not_keep_the_line() -> None:
    """The error goes to its caller; the next call works."""
    calls = JoinedCalls[int]()

    def fail() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        calls.run("key", fail, seconds=LONG)
    assert calls.run("key", lambda: 3, seconds=LONG) == 3


def test_a_call_that_hangs_is_not_waited_for_longer_than_that() -> None:
    """Whoever waits in the line, or with somebody in it, is told in time; the line goes on."""
    calls, work = JoinedCalls[int](), Work()
    with ThreadPoolExecutor() as pool:
        first = start(pool, calls, work)
        assert work.began.acquire(timeout=LONG)
        with pytest.raises(DeadlineExceeded, match="still at work"):
            calls.run("key", work, seconds=0.01)
        waiting = start(pool, calls, work)
        in_line(calls, 2)
        with pytest.raises(DeadlineExceeded, match="still at work"):
            calls.run("key", work, seconds=0.01)
        work.may_end.release(2)
        with suppress(DeadlineExceeded):
            waiting.result(LONG)
        assert first.result(LONG) == 0
    assert calls.run("key", lambda: 5, seconds=LONG) == 5
