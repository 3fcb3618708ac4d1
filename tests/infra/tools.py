"""Finds the programs that check the deployment: the Bicep CLI, PowerShell, bash, Node.

Each is named by an environment variable, else found on `PATH`. Where one is missing, the tests that
need it are skipped with one reason; with `REQUIRE_TOOLS=1`, as continuous integration sets it, they
fail instead, so that no check is left out unnoticed.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Never

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 240
"""For one call of a tool; also on a busy machine, on which one takes many times as long."""

DOTNET = {"DOTNET_TieredPGO": "0", "DOTNET_gcConcurrent": "0", "POWERSHELL_TELEMETRY_OPTOUT": "1"}
"""Variables for Bicep and PowerShell, which live for seconds: what prepares for hours costs more
than it brings."""


def find(name: str, variable: str) -> str:
    """Path of a program; skips the test, or fails it where tools are required.

    Args:
        name: as on `PATH`.
        variable: environment variable that names the program.
    """
    found = shutil.which(os.environ.get(variable) or name)
    if found is None:
        missing(f"{name} is missing: install it, or name it by {variable}")
    return found


def missing(reason: str) -> Never:
    """Skip the test, or fail it where tools are required."""
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; does not raise for its exit status.

    Args:
        command: program and arguments.
        cwd: where it runs.
        env: its variables; those of this process when None.
        text: for its standard input.
    """
    return subprocess.run(  # noqa: S603 - programs that `find` found, no shell
        [str(part) for part in command],
        cwd=cwd,
        env=None if env is None else dict(env),
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


class Script:
    """Runs the project's bash scripts where only stand-ins for other programs are found.

    Args:
        environment: of the script, may be changed before it runs.
        naps: file in which a stand-in for `sleep` notes how long it was to wait.
    """

    def __init__(self, environment: dict[str, str], naps: Path) -> None:
        self.environment = environment
        self._naps = naps

    def __call__(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the project to its end."""
        return run(["bash", ROOT / script, *arguments], env=self.environment)

    @property
    def waits(self) -> list[int]:
        """Seconds of each wait, in order."""
        text = self._naps.read_text("utf-8") if self._naps.exists() else ""
        return [int(line) for line in text.split()]
