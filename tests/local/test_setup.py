"""A fresh clone becomes usable with one command, and a second call does nothing."""

import json
import os
import sys
from pathlib import Path

import pytest

from local import setup

posix_only = pytest.mark.skipif(os.name == "nt", reason="stands shell scripts in for programs")


def program(folder: Path, name: str, script: str) -> Path:
    """An executable shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; no interpreter is found outside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(program(folder, "running", "echo 3.12")))
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A project whose lists of packages are empty."""
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("", "-local", "-lint", "-dev"):
        (root / f"requirements{name}.txt").write_text("")
    (root / "package-lock.json").write_text("")
    return root


@posix_only
def test_python_on_the_path_is_found(tools: Path) -> None:
    found = program(tools, "python3.13", "echo 3.13")
    assert setup.find_python() == str(found)


@posix_only
def test_python_of_pyenv_is_found(tools: Path, tmp_path: Path) -> None:
    """Also when a shim of the same name is on the PATH but its version is not active."""
    program(tools, "python3.13", "exit 127")
    found = program(tmp_path / "pyenv" / "versions" / "3.13.1" / "bin", "python", "echo 3.13")
    assert setup.find_python() == str(found)


@posix_only
def test_python_of_uv_is_found(tools: Path) -> None:
    found = program(tools / "elsewhere", "python", "echo 3.13")
    program(tools, "uv", f'[ "$*" = "python find 3.13" ] && echo {found}')
    assert setup.find_python() == str(found)


@posix_only
def test_other_versions_are_not_taken(tools: Path) -> None:
    program(tools, "python3.13", "echo 3.12")
    program(tools, "uv", "exit 1")
    assert setup.find_python() is None


PYTHON = {"python3.13": "echo 3.13"}
NODE = {"node": "echo v22.1.0"}
NPM = {"npm": "exit 0"}


@posix_only
@pytest.mark.parametrize(
    ("present", "named"),
    [
        (NODE | NPM, ["Python 3.13"]),
        (PYTHON | NPM, ["Node.js"]),
        (PYTHON | NPM | {"node": "echo v18.19.0"}, ["Node.js 20"]),
        (PYTHON | NODE, ["npm"]),
        ({}, ["Python 3.13", "Node.js"]),
    ],
)
def test_missing_tools_are_named_in_one_line(
    tools: Path,
    clone: Path,
    capsys: pytest.CaptureFixture[str],
    present: dict[str, str],
    named: list[str],
) -> None:
    """All of them at once, with where to get them, before anything is created."""
    for name, script in present.items():
        program(tools, name, script)
    assert setup.main([], clone) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "https://" in said
    assert all(tool in said for tool in named)
    assert not (clone / ".venv").exists()


@pytest.fixture
def log(tools: Path, tmp_path: Path) -> Path:
    """What a Python that can create environments, pip and npm were asked to do."""
    path = tmp_path / "log"
    real = "\n".join(
        [
            f'echo "python $*" >> {path}',
            'case "$*" in',
            "  *version_info*) echo 3.13;;",
            '  "-m venv"*) for last; do :; done; /bin/mkdir -p "$last/bin";',
            '    /bin/cp "$0" "$last/bin/python";;',
            "esac",
        ]
    )
    program(tools, "python3.13", real)
    program(tools, "node", "echo v22.1.0")
    program(tools, "npm", f'echo "npm $*" >> {path}; /bin/mkdir -p node_modules')
    return path


def done(log: Path) -> list[str]:
    """Steps taken since the last look: venv, the file installed from, npm."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    steps = []
    for line in lines:
        if "-m venv" in line:
            steps.append("venv")
        elif "pip install" in line:
            steps.append(Path(line.split()[-1]).name)
        elif line.startswith("npm"):
            steps.append(line)
    return steps


@posix_only
def test_only_what_is_missing_or_changed_is_done(clone: Path, log: Path) -> None:
    """First everything, then nothing, then only the part whose list changed."""
    npm = "npm ci --ignore-scripts"
    assert setup.main(["--runtime"], clone) == 0
    assert done(log) == ["venv", "requirements-local.txt", npm]
    assert setup.main(["--runtime"], clone) == 0
    assert done(log) == []
    assert setup.main([], clone) == 0
    assert done(log) == ["requirements-dev.txt"]
    for option in ("--runtime", "--lint"):
        assert setup.main([option], clone) == 0
        assert done(log) == []
    (clone / "package-lock.json").write_text("{}")
    assert setup.main([], clone) == 0
    assert done(log) == [npm]
    (clone / "requirements.txt").write_text("new")
    assert setup.main([], clone) == 0
    assert done(log) == ["requirements-dev.txt"]


@posix_only
def test_static_checks_need_no_node(clone: Path, log: Path, tools: Path) -> None:
    """And none of the large packages that only tests use."""
    (tools / "node").unlink()
    (tools / "npm").unlink()
    assert setup.main(["--lint"], clone) == 0
    assert done(log) == ["venv", "requirements-lint.txt"]
    assert setup.main(["--lint"], clone) == 0
    assert done(log) == []


@posix_only
def test_failed_step_shows_its_output_and_is_done_again(
    clone: Path, log: Path, tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A half installed folder is never taken for a whole one."""
    npm = tools / "npm"
    working = npm.read_text()
    program(tools, "npm", "/bin/mkdir node_modules; echo registry is down; exit 1")
    assert setup.main(["--runtime"], clone) == 1
    assert "registry is down" in capsys.readouterr().err
    done(log)
    npm.write_text(working)
    assert setup.main(["--runtime"], clone) == 0
    assert done(log) == ["npm ci --ignore-scripts"]


def test_the_lock_file_is_portable_and_pinned() -> None:
    """It names no registry host, and the one package asked for is pinned exactly."""
    root = Path(__file__).parents[2]
    lock = json.loads((root / "package-lock.json").read_text())
    wanted = json.loads((root / "package.json").read_text())["devDependencies"]
    packages = lock["packages"]
    assert not any("resolved" in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
    assert packages["node_modules/azurite"]["version"] == wanted["azurite"]


@posix_only
def test_a_browser_is_installed_where_that_needs_no_question(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root on Debian, and only where none is there; without a window where that is possible."""
    calls = tmp_path / "calls"
    program(tools, "apt-get", f'echo "$@" >> {calls}')
    monkeypatch.setattr("local.support.browser.ELSEWHERE", ())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    setup._install_browser(tmp_path)
    assert not calls.exists()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    setup._install_browser(tmp_path)
    assert [line.split()[0] for line in calls.read_text().splitlines()] == ["update", "install"]
    assert calls.read_text().split()[-1] == "chromium"
    for status, package in ((0, "chromium-headless-shell"), (100, "chromium")):
        program(tools, "apt-cache", f"exit {status}")
        setup._install_browser(tmp_path)
        assert calls.read_text().split()[-1] == package
    installed = calls.read_text()
    program(tools, "chromium", "")
    setup._install_browser(tmp_path)
    assert calls.read_text() == installed
