"""What a fuzz target is, and how one input or a round of random inputs is fed to it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import thread_time
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

LIMIT_SECONDS = 1.0
"""Longest that one input may keep the program busy, in CPU time of the thread."""


class PromiseBroken(AssertionError):
    """What was understood is not what was promised."""


class TooSlow(AssertionError):
    """An input kept the program busy for too long."""


@dataclass(frozen=True)
class Target:
    """One reader of foreign bytes.

    Attributes:
        name: for the command line.
        inputs: what it is fed.
        run: feeds it; returns when it understood, raises one of `errors` when it refused.
        errors: the kinds of refusal that are promised.
        from_bytes: makes an input of the bytes that a coverage-guided fuzzer invents; without it
            the bytes steer `inputs`.
        seeds: bytes to begin with, for `from_bytes`.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    run: Callable[[Any], None]
    errors: tuple[type[Exception], ...]
    from_bytes: Callable[[bytes], Any] | None = None
    seeds: tuple[bytes, ...] = ()


def feed(target: Target, data: Any, limit_seconds: float = LIMIT_SECONDS) -> None:
    """Feed one input; returns when the target's promise holds.

    Raises:
        TooSlow: it took more than the limit.
        Exception: whatever else the target must not raise.
    """
    began = thread_time()
    with suppress(*target.errors):
        target.run(data)
    took = thread_time() - began
    if took > limit_seconds:
        raise TooSlow(f"{target.name}: {took:.1f} s")


def one_round(target: Target, examples: int, number: int) -> None:
    """Feed a target so many random inputs, always the same for a number.

    Raises:
        Exception: what the smallest input found raises; Hypothesis adds the input as a note.
    """
    rounds = _hypothesis(target, examples, LIMIT_SECONDS)
    seed(number)(rounds)()


def byte_feeder(target: Target, limit_seconds: float) -> Callable[[bytes], None]:
    """What feeds a target with bytes of a coverage-guided fuzzer."""
    make = target.from_bytes
    if make is not None:
        return lambda data: feed(target, make(data), limit_seconds)
    fuzz_one: Callable[[bytes], object] = _hypothesis(
        target, 1, limit_seconds
    ).hypothesis.fuzz_one_input

    def steer(data: bytes) -> None:
        fuzz_one(data)

    return steer


def _hypothesis(target: Target, examples: int, limit_seconds: float) -> Any:
    @settings(
        max_examples=examples,
        deadline=None,  # busy machines; `feed` measures CPU time
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(target.inputs)
    def rounds(data: Any) -> None:
        feed(target, data, limit_seconds)

    return rounds
