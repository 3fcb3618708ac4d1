"""Whatever Python runs an entry point, it works or says in one line what to do."""

import os
import runpy
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import local

ROOT = Path(__file__).parents[2]
# `local.setup` and `local.checks` run without any package.
ENTRY_POINTS = sorted(
    "local."
    + ".".join(path.relative_to(ROOT / "local").with_suffix("").parts).replace(".__main__", "")
    for path in (ROOT / "local").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
)
Version = namedtuple("Version", "major minor micro releaselevel serial")  # noqa: PYI024 - as there


def test_entry_points_are_found() -> None:
    """The list below is read from the files."""
    assert {"local.setup", "local.start", "local.checks", "local.demo"} <= set(ENTRY_POINTS)


@pytest.mark.parametrize("name", ENTRY_POINTS)
@pytest.mark.parametrize("minor", [9, 10, 11, 12])
def test_old_python_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, minor: int
) -> None:
    """Which Python it needs, which one this is, and the command that helps."""
    monkeypatch.setattr(sys, "version_info", Version(3, minor, 1, "final", 0))
    said = local._missing(name)
    if (3, minor) >= local._NEEDED.get(name, (3, 13)):
        assert said == ""
    else:
        assert f"{name} needs Python 3." in said
        assert f"this is Python 3.{minor}. Run `make setup`" in said
        assert "\n" not in said


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_python_without_the_packages_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Only what needs nothing but Python goes on."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    said = local._missing(name)
    assert ("needs packages" in said) is (name not in local._NEEDED)
    assert "\n" not in said


def test_the_entry_point_is_known_before_its_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So syntax that an old Python does not know cannot come before the message."""
    package = tmp_path / "local_copy"
    package.mkdir()
    shutil.copy(ROOT / "local" / "__init__.py", package)
    with (package / "__init__.py").open("a") as file:
        file.write("sys.exit(_ENTRY_POINT)\n")
    (package / "broken.py").write_text("this is no Python\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit, match=r"^local_copy\.broken$"):
        runpy.run_module("local_copy.broken", run_name="__main__")


def _interpreters() -> list[str]:
    """Other versions of Python on this machine, where they are found."""
    found = [shutil.which(f"python3.{minor}") for minor in (9, 10, 11, 12)]
    # pyenv's shims are slow, and lead to what stands in its folder.
    found = [path for path in found if path and Path(path).parent.name != "shims"]
    found += [str(path) for path in (Path.home() / ".pyenv/versions").glob("3.*/bin/python")]
    return [path for path in found if path]


def test_really_old_interpreters_print_one_line() -> None:
    """No traceback, exit status 1, under each Python from 3.8 to 3.12 that is installed."""
    for python in _interpreters():
        version = _run([python, "-c", "import sys; print(*sys.version_info[:2])"]).stdout.split()
        if version and (3, 8) <= tuple(int(part) for part in version) < (3, 13):
            done = _run([python, "-m", "local.start", "--help"])
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("local.start needs Python 3.13 or newer")
            assert done.stderr.count("\n") == 1


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own command lines
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
