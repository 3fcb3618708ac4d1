"""`make mutants`: does a test fail for each small change of the modules that decide.

mutmut changes the modules that `[tool.mutmut]` in pyproject.toml names, one expression at a time,
and runs the tests that reach the change; those need no sockets. A change that no test notices
survives. The score is the share of changes that a test notices, by failing or by not ending.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.support.arguments import positive
from local.support.terminal import bold, table

REQUIRED = 0.9
"""Share of all changes together that tests must notice."""

_ROOT = Path(__file__).resolve().parent.parent.parent
_WORK = _ROOT / "mutants"

_KILLED = frozenset({1, 3})
_TIMED_OUT = frozenset({-24, 24, 36, 152, 255})
_UNTESTED = frozenset({5, 33})
"""Exit statuses of the tests as mutmut records them; 0 is a change that survived."""


@dataclass
class Module:
    """How the changes of one module fared.

    Attributes:
        name: as it is imported.
        results: changes by "killed", "timed out", "survived", "untested", "not run".
        survivors: names of the changes that no test notices.
    """

    name: str
    results: Counter[str] = field(default_factory=Counter)
    survivors: list[str] = field(default_factory=list)

    @property
    def noticed(self) -> int:
        """Changes that a test notices."""
        return self.results["killed"] + self.results["timed out"]

    @property
    def judged(self) -> int:
        """All changes that were run or that no test reaches."""
        return self.results.total() - self.results["not run"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Change, test, and judge; returns 1 when the score is too low."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.mutants", description=__doc__)
    parser.add_argument(
        "patterns", nargs="*", help="names of changes, such as 'shared.sync.plan*'; all if none"
    )
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 2)
    parser.add_argument("--report", action="store_true", help="only judge the last run again")
    options = parser.parse_args(arguments)
    if not hasattr(os, "fork"):
        print("This system cannot fork processes, which mutmut needs: use Linux or macOS.")
        return 1
    began = time.monotonic()
    if not options.report:
        shutil.rmtree(_WORK, ignore_errors=True)
        print("A few thousand changes, each with its tests: about 20 minutes on two quiet cores.")
        command = (sys.executable, "-m", "mutmut", "run", "--max-children", str(options.workers))
        done = subprocess.run((*command, *options.patterns), cwd=_ROOT, check=False)  # noqa: S603 - our own command
        if done.returncode != 0:
            print("mutmut ended early: the tests must pass on the code as it is.", file=sys.stderr)
            return done.returncode
    modules = sorted(read(_WORK), key=lambda module: module.name)
    print(f"\n{_table(modules)}\n")
    for module in modules:
        for name in module.survivors:
            print(f"survived: {name}")
    print("See one with `.venv/bin/python -m mutmut show NAME`.")
    print(f"It took {(time.monotonic() - began) / 60:.0f} minutes.")
    judged, noticed = sum(m.judged for m in modules), sum(m.noticed for m in modules)
    score = noticed / judged if judged else 0.0
    verdict = (
        f"Tests notice {noticed} of {judged} changes, {score:.1%}; {REQUIRED:.0%} are required."
    )
    print(bold(verdict))
    return 0 if score >= REQUIRED else 1


def read(work: Path) -> Iterator[Module]:
    """Results by module, as mutmut keeps them.

    Args:
        work: mutmut's folder.
    """
    for meta in work.rglob("*.py.meta"):
        path = meta.relative_to(work).with_suffix("").with_suffix("")
        module = Module(".".join(path.parts))
        statuses = json.loads(meta.read_text("utf-8"))["exit_code_by_key"]
        for name, status in statuses.items():
            result = _result(status)
            module.results[result] += 1
            if result in {"survived", "untested"}:
                module.survivors.append(name)
        if module.judged:
            yield module


def _result(status: int | None) -> str:
    if status is None:
        return "not run"
    if status in _KILLED:
        return "killed"
    if status in _TIMED_OUT:
        return "timed out"
    return "untested" if status in _UNTESTED else "survived"


def _table(modules: Sequence[Module]) -> str:
    header = ("module", "changes", "killed", "timed out", "survived", "untested", "score")
    rows = [
        (
            module.name,
            module.judged,
            *(module.results[name] for name in header[2:6]),
            f"{module.noticed / module.judged:.0%}",
        )
        for module in modules
    ]
    return table(header, rows)


if __name__ == "__main__":
    sys.exit(main())
