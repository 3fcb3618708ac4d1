"""`make fuzz`: random and spoiled bytes into every parser, until the time is up.

What is fuzzed, and what is promised of it, is in `local/fuzz_targets.py`; `make test` runs the same
targets for a moment. Every round prints its seed; `--seed` begins with that round again.
"""

import argparse
import random
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic, thread_time
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from local.tools.fuzz_targets import TARGETS, Target

LIMIT_SECONDS = 1.0
"""Longest that one input may keep the program busy, in CPU time of the thread."""

_ROUND = 300


class TooSlow(AssertionError):
    """An input kept the program busy for too long."""


def feed(target: Target, data: Any) -> None:
    """Feed one input; returns when the target's promise holds.

    Raises:
        TooSlow: it took more than `LIMIT_SECONDS`.
        Exception: whatever else the target must not raise.
    """
    began = thread_time()
    with suppress(*target.errors):
        target.run(data)
    took = thread_time() - began
    if took > LIMIT_SECONDS:
        raise TooSlow(f"{target.name}: {took:.1f} s")


def one_round(target: Target, examples: int, number: int) -> None:
    """Feed a target so many inputs, always the same for a number.

    Raises:
        Exception: what the smallest input found raises; Hypothesis adds the input as a note.
    """

    @seed(number)
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
        feed(target, data)

    rounds()


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz until the time is up; returns 1 at the first fault."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m local.tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--seed", type=int, help="of the first round; random when omitted")
    parser.add_argument("--target", choices=names, action="append", help="only these")
    options = parser.parse_args(arguments)
    number = random.randrange(2**31) if options.seed is None else options.seed
    begun = monotonic()
    end = begun + options.minutes * 60
    chosen = [target for target in TARGETS if target.name in (options.target or names)]
    fed = 0
    while True:
        print(f"seed {number}: {_ROUND} inputs each for {', '.join(t.name for t in chosen)}")
        for target in chosen:
            try:
                one_round(target, _ROUND, number)
            except Exception:  # noqa: BLE001 - any fault of the program
                traceback.print_exc()
                print(
                    f"{target.name} broke its promise. Again: "
                    "python -m local.tools.fuzz "
                    f"--target {target.name} --seed {number} --minutes 0",
                    file=sys.stderr,
                )
                return 1
            fed += _ROUND
            if monotonic() >= end > begun:
                break
        if monotonic() >= end:
            print(f"No fault in {fed} inputs.")
            return 0
        number += 1


if __name__ == "__main__":
    sys.exit(main())
