"""Everything CI runs, in the order of cost; ends at the first failure.

`python -m local.check` runs all, `--static` only the checks that start nothing.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_STATIC = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
)
_TESTS = (("pytest", "-q", "-n", "2", "--cov", "--cov-report", "term"),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; returns the exit status of the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m local.check", description=__doc__)
    parser.add_argument("--static", action="store_true", help="no tests")
    options = parser.parse_args(arguments)
    for command in _STATIC if options.static else _STATIC + _TESTS:
        print(f"\n$ {' '.join(command)}", flush=True)
        began = time.monotonic()
        # the interpreter's own tools, also where no virtual environment is active
        done = subprocess.run(  # noqa: S603 - our own command lines
            [sys.executable, "-m", *command],
            cwd=_ROOT,
            check=False,
        )
        if done.returncode != 0:
            print(f"{command[0]} failed after {time.monotonic() - began:.0f} s", file=sys.stderr)
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
