"""`make fuzz`: hostile bytes into every parser, until the time is up (10 minutes).

`targets.py` holds what is fuzzed, `promises.py` what is promised of it; `make test` feeds
each target for a moment. Where Atheris is installed, coverage guides the inputs: those that reach
new code are kept in `.fuzz/` and are the start of the next time. Elsewhere, or with `--random`,
Hypothesis invents inputs without guidance. Repeat a fault with the command that it prints.
"""

import argparse
import random
import re
import subprocess
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from local.support.terminal import Progress, table
from local.tools.fuzz.target import Target, one_round
from local.tools.fuzz.targets import TARGETS

_ROOT = Path(__file__).resolve().parents[3]
_FOLDER = _ROOT / ".fuzz"
_ROUND = 300
_STATUS = re.compile(r"#(\d+)\s.*exec/s: (\d+)")
_RUNS = re.compile(r"Done (\d+) runs")
_WRITTEN = re.compile(r"Test unit written to (\S+)")
# An input must not hang for minutes on any machine; its CPU time is limited by the target.
_LIBFUZZER = ("-timeout=120", "-rss_limit_mb=2048", "-max_len=20000", "-print_final_stats=1")
_SHOWN_LINES = 40


class Result(NamedTuple):
    """What fuzzing one target came to.

    Attributes:
        target: its name.
        executions: inputs fed.
        seconds: spent.
        paths: inputs kept because each reaches code that no other one reaches.
        new_paths: of them, those found this time.
    """

    target: str
    executions: int
    seconds: float
    paths: int
    new_paths: int


class FaultFound(Exception):
    """A target broke its promise; the message says how, and how to repeat it."""


def guided(target: Target, seconds: float) -> Result:
    """Fuzz one target with coverage as the guide.

    Raises:
        FaultFound: the target broke its promise.
    """
    corpus = _FOLDER / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    before, began = len(list(corpus.iterdir())), monotonic()
    options = [*_LIBFUZZER, f"-max_total_time={max(1, round(seconds))}"]
    options.append(f"-artifact_prefix={_FOLDER}/{target.name}-")
    executions = _atheris(target, [str(corpus), *options], seconds)
    after = len(list(corpus.iterdir()))
    return Result(target.name, executions, monotonic() - began, after, after - before)


def _atheris(target: Target, options: Sequence[str], seconds: float) -> int:
    """Run Atheris, show how far it is, and give the number of executions."""
    progress = Progress(target.name)
    executions, lines, began = 0, list[str](), monotonic()
    command = [sys.executable, "-m", "local.tools.fuzz.guided", target.name, *options]
    with subprocess.Popen(  # noqa: S603 - our own command line
        command,
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        for line in process.stderr:
            lines.append(line)
            if status := _STATUS.search(line):
                fraction = (monotonic() - began) / max(seconds, 1)
                progress.show(fraction, f"{int(status[1]):,} executions, {status[2]} a second")
            if runs := _RUNS.search(line):
                executions = int(runs[1])
    if process.returncode != 0:
        raise FaultFound(_told(target, "".join(lines)))
    progress.done(f"{executions:,} executions")
    return executions


def _told(target: Target, output: str) -> str:
    """The traceback of a fault, and the command that repeats it."""
    start = output.find("=== Uncaught Python exception")
    shown = "\n".join(output[max(start, 0) :].splitlines()[:_SHOWN_LINES])
    written = _WRITTEN.search(output)
    repeat = f" --input {written[1]}" if written else ""
    return (
        f"{shown}\n\n{target.name} broke its promise. Again: "
        f"python -m local.tools.fuzz --target {target.name}{repeat}"
    )


def unguided(target: Target, seconds: float, number: int) -> Result:
    """Feed random inputs until the time is up, at least one round.

    Raises:
        FaultFound: the target broke its promise.
    """
    executions, began = 0, monotonic()
    while not executions or monotonic() - began < seconds:
        try:
            one_round(target, _ROUND, number)
        except Exception as error:
            raise FaultFound(
                f"{''.join(traceback.format_exception(error))}\n{target.name} broke its promise. "
                f"Again: python -m local.tools.fuzz --random --minutes 0 --target {target.name} "
                f"--seed {number}"
            ) from error
        executions, number = executions + _ROUND, number + 1
    return Result(target.name, executions, monotonic() - began, 0, 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz until the time is up; returns 1 at the first fault."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m local.tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--target", choices=names, action="append", help="only these")
    parser.add_argument("--random", action="store_true", help="without Atheris")
    parser.add_argument("--seed", type=int, help="with --random: of the first round")
    parser.add_argument("--input", type=Path, help="with one --target: feed only this file")
    options = parser.parse_args(arguments)
    chosen = [target for target in TARGETS if target.name in (options.target or names)]
    if options.input and len(chosen) != 1:
        parser.error("--input goes with one --target")
    with_atheris = not options.random and find_spec("atheris") is not None
    seconds = options.minutes * 60 / len(chosen)
    number = random.randrange(2**31) if options.seed is None else options.seed
    guide = "coverage as the guide" if with_atheris else f"random inputs, seed {number}"
    print(f"{len(chosen)} targets, {options.minutes:g} minutes, {guide}", flush=True)
    try:
        if options.input:
            _atheris(chosen[0], [str(options.input)], 0)
            return 0
        results = [
            guided(target, seconds) if with_atheris else unguided(target, seconds, number)
            for target in chosen
        ]
    except FaultFound as fault:
        print(fault, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    heads = ("target", "executions", "a second", "paths", "new paths")
    print(table(heads, (_row(result) for result in results)))
    print(f"No fault in {sum(result.executions for result in results):,} inputs.")
    return 0


def _row(result: Result) -> tuple[object, ...]:
    rate = round(result.executions / max(result.seconds, 0.001))
    return (result.target, result.executions, rate, result.paths, result.new_paths)


if __name__ == "__main__":
    sys.exit(main())
