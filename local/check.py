"""Everything CI runs, in the order of cost; ends at the first failure.

`python -m local.check` runs all (about five minutes on two cores), `--static` only checks that
start nothing (about half a minute), `--thorough` also every case of the large matrices and a kill
at every request, of which else a sample runs (about twelve minutes).
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).resolve().parent.parent
# The interpreter's own tools, also where no virtual environment is active.
_PYTHON = (sys.executable, "-m")


class Check(NamedTuple):
    """One command.

    Attributes:
        name: as people type it.
        duration: on two quiet cores.
        command: as it is run.
        package: what must be installed for it.
    """

    name: str
    duration: str
    command: Sequence[str]
    package: str


_STATIC = (
    Check("ruff check", "1 s", (*_PYTHON, "ruff", "check"), "ruff"),
    Check("ruff format --check", "1 s", (*_PYTHON, "ruff", "format", "--check"), "ruff"),
    Check("mypy", "12 s", (*_PYTHON, "mypy"), "mypy"),
    Check(
        "lint-imports",
        "2 s",
        (
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run([])",
        ),
        "importlinter",
    ),
)
# One more than there are cores, because browsers and other programs are waited for.
_WORKERS = str(min(8, (os.cpu_count() or 1) + 1))
_TESTS = (
    Check(
        "pytest",
        "4 minutes, 11 with --thorough",
        (
            *(*_PYTHON, "pytest", "-q", "-n", _WORKERS, "--dist", "worksteal"),
            *("--cov", "--cov-report", "term"),
        ),
        "xdist",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; returns the exit status of the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m local.check", description=__doc__)
    parser.add_argument("--static", action="store_true", help="no tests")
    parser.add_argument("--thorough", action="store_true", help="every case, no sample")
    options = parser.parse_args(arguments)
    checks = _STATIC if options.static else _STATIC + _TESTS
    if options.thorough:
        os.environ["THOROUGH"] = "1"
    for number, check in enumerate(checks, 1):
        print(f"\n{number} of {len(checks)}: {check.name} (about {check.duration})", flush=True)
        began = time.monotonic()
        status = _run(check)
        if status != 0:
            seconds = time.monotonic() - began
            print(f"{check.name} failed after {seconds:.0f} s", file=sys.stderr)
            return status
    print(f"\nAll {len(checks)} checks passed.")
    return 0


def _run(check: Check) -> int:
    if find_spec(check.package) is None:
        print(f"{check.package} is not installed: run `make setup`", file=sys.stderr)
        return 1
    # Thousands of tests start hundreds of programs: bytecode that is kept serves them all.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(  # noqa: S603 - our own commands
        check.command, cwd=_ROOT, env=environment, check=False
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
