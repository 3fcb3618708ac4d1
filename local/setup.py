"""Prepares a fresh clone: virtual environment with Python 3.13, packages, Azurite.

Runs under any Python from 3.8 on with nothing but the standard library, because it is what finds
Python 3.13. Does only what is missing or out of date, so it costs a moment when all is there.

    python3 -m local.setup            for `make test`
    python3 -m local.setup --runtime  what `make demo` and `make start` need
    python3 -m local.setup --lint     what `make lint` needs: no Node.js, no large packages
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, Sequence  # noqa: UP035 - collections.abc is not generic in 3.8

from local.support.browser import HEADLESS, find_browser

_ROOT = Path(__file__).resolve().parent.parent
_WINDOWS = os.name == "nt"
_PYTHON = "3.13"
_NODE_AT_LEAST = 20
_STAMP = ".photo-sync-{}"
_RUNTIME = "requirements.txt"
_LISTS = {
    "runtime": "requirements-local.txt",
    "lint": "requirements-lint.txt",
    "dev": "requirements-dev.txt",
}
"""Lists of packages; each holds the ones before it, and the first one those of the app."""

_DURATIONS = {"runtime": "about 15 s", "lint": "about 30 s", "dev": "about a minute"}
_TICK_SECONDS = 0.2
_LOG_TAIL_LINES = 25


class SetupFailed(Exception):
    """Something is missing or a step failed; the message is for the person at the terminal."""


def venv_python(root: Path) -> Path:
    """Path of the virtual environment's interpreter, whether it exists or not."""
    return root / ".venv" / ("Scripts/python.exe" if _WINDOWS else "bin/python")


def find_python() -> str | None:
    """Find an interpreter of the wanted version that can create virtual environments."""
    return next((path for path in _candidates() if _is_wanted(path)), None)


def _candidates() -> Iterator[str]:
    yield sys.executable
    on_path = shutil.which("python" + _PYTHON)
    if on_path:
        yield on_path
    home = Path.home() / ".pyenv"
    for base in (os.environ.get("PYENV_ROOT"), home, home / "pyenv-win"):
        versions = Path(base) / "versions" if base else home
        for found in sorted(versions.glob(_PYTHON + ".*"), reverse=True):
            yield str(found / ("python.exe" if _WINDOWS else "bin/python"))
    for question in (
        ["py", "-" + _PYTHON, "-c", "import sys; print(sys.executable)"],
        ["uv", "python", "find", _PYTHON],
    ):
        program = shutil.which(question[0])
        if program:
            answer = _output([program, *question[1:]])
            if answer:
                yield answer


def _is_wanted(python: str) -> bool:
    # Debian ships Python without ensurepip unless python3-venv is installed
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    return _output([python, "-c", code]) == _PYTHON


def _output(command: list[str]) -> str:
    """What a command prints; nothing when it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _require(*, node_too: bool) -> tuple[str, str]:
    """Interpreter and npm to use; SetupFailed names everything missing in one line."""
    missing = []
    python = find_python()
    if python is None:
        missing.append(
            f"Python {_PYTHON} with venv (https://www.python.org/downloads, "
            f"or `uv python install {_PYTHON}`)"
        )
    node, npm = shutil.which("node"), shutil.which("npm")
    version = re.match(r"v(\d+)", _output([node, "--version"])) if node else None
    if node_too and (version is None or int(version[1]) < _NODE_AT_LEAST or npm is None):
        missing.append(f"Node.js {_NODE_AT_LEAST} or newer with npm (https://nodejs.org)")
    if python is None or missing:
        raise SetupFailed("Missing: " + " and ".join(missing))
    return python, npm or ""


def prepare(root: Path, *, packages: str = "dev") -> None:
    """Bring virtual environment and node_modules up to date.

    Args:
        root: of the project.
        packages: "runtime", "lint" (which needs no node_modules) or "dev".

    Raises:
        SetupFailed: a tool is missing, or a step failed (with the end of what it printed).
    """
    with_node = packages != "lint"
    python, npm = _require(node_too=with_node)
    own = venv_python(root)
    if not _is_wanted(str(own)):
        title = "Creating .venv with Python " + _PYTHON
        _step(title, [python, "-m", "venv", "--clear", str(root / ".venv")], root)
    names = list(_LISTS)
    stamps = {}
    for position, name in enumerate(names):
        lists = [_RUNTIME] + [_LISTS[each] for each in names[: position + 1]]
        file = root / ".venv" / _STAMP.format(name)
        stamps[name] = _Stamp(file, [root / each for each in lists])
    if not any(stamps[name].current for name in names[names.index(packages) :]):
        title = f"Installing Python packages of {_LISTS[packages]} ({_DURATIONS[packages]})"
        install = [str(own), "-m", "pip", "install", "--disable-pip-version-check", "-r"]
        _step(title, [*install, str(root / _LISTS[packages])], root)
        stamps[packages].write()
    if not with_node:
        return
    modules = _Stamp(root / "node_modules" / _STAMP.format("npm"), [root / "package-lock.json"])
    if not modules.current:
        title = "Installing Azurite from npm (about 20 s)"
        _step(title, [npm, "ci", "--ignore-scripts"], root)
        modules.write()
    if packages == "dev":
        _install_browser(root)


def _install_browser(root: Path) -> None:
    """Install Chromium for the tests of the pages where that is possible without a question.

    That is as root on Debian and Ubuntu; elsewhere the tests use what is there, or are skipped.
    """
    apt = shutil.which("apt-get")
    if find_browser() or apt is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    _step("Updating the list of Debian packages", [apt, "update", "-qq"], root)
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", _browser_package()]
    _step("Installing Chromium (about 30 s)", install, root)


def _browser_package() -> str:
    """Debian's package of Chromium without a window; the whole of it where there is none."""
    cache = shutil.which("apt-cache")
    if cache is None:
        return "chromium"
    asked = [cache, "show", "--no-all-versions", HEADLESS]
    known = subprocess.run(asked, capture_output=True, check=False)  # noqa: S603 - our own command
    return HEADLESS if known.returncode == 0 else "chromium"


class _Stamp:
    """Remembers for which content of some files a step was done."""

    def __init__(self, path: Path, sources: Sequence[Path]) -> None:
        digest = hashlib.sha256()
        for source in sources:
            digest.update(source.read_bytes())
        self._path = path
        self._hash = digest.hexdigest()

    @property
    def current(self) -> bool:
        return self._path.exists() and self._path.read_text() == self._hash

    def write(self) -> None:
        self._path.write_text(self._hash)


def _step(title: str, command: list[str], root: Path) -> None:
    """Run a command with one line of progress; on failure show the end of its output."""
    began = time.monotonic()
    live = sys.stdout.isatty()
    if not live:
        print(f"{title} ...", flush=True)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                if live:
                    print(f"\r{title} ... {time.monotonic() - began:.0f} s", end="", flush=True)
                time.sleep(_TICK_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise
        log.seek(0)
        lines = log.read().decode(errors="replace").splitlines()
    clear = "\r\033[K" if live else ""
    print(f"{clear}{title}: {time.monotonic() - began:.1f} s", flush=True)
    if process.returncode != 0:
        said = "\n".join(lines[-_LOG_TAIL_LINES:])
        raise SetupFailed(f"{said}\n{title} failed: {' '.join(command)}")


def main(arguments: Sequence[str] | None = None, root: Path = _ROOT) -> int:
    """Prepare the clone; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m local.setup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_mutually_exclusive_group()
    for name, told in (("runtime", "without the tools for tests"), ("lint", "only for make lint")):
        kinds.add_argument(
            f"--{name}", action="store_const", const=name, dest="packages", help=told
        )
    options = parser.parse_args(arguments)
    try:
        prepare(root, packages=options.packages or "dev")
    except SetupFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
