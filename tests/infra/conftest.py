"""What the tests of the deployment share: the compiler, directories, and tools that reach them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.infra.compiler import RUNNING, Compiler
from tests.infra.directory import Directory, Served, serving
from tests.infra.fake_az import Az
from tests.infra.fake_az import serving as serving_az
from tests.infra.tools import DOTNET, Script, missing


@pytest.fixture(scope="session")
def compiler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    """The Bicep CLI; the test is skipped where it is missing.

    Kept with the session, because this is a fixture of its own in each folder that imports it: the
    CLI takes seconds to start and to read the templates.
    """
    config = request.config
    if RUNNING not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        started = Compiler(tmp_path_factory.mktemp("compiler"))
        config.stash[RUNNING] = stack.enter_context(started)
    return config.stash[RUNNING]


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """A server for directories, until the last test."""
    with serving() as served:
        yield served


@pytest.fixture(scope="session")
def powershell() -> dict[str, str]:
    """Variables of a PowerShell that finds the module of the tests."""
    modules = Path(__file__).with_name("modules")
    return {**os.environ, **DOTNET, "PSModulePath": str(modules), "NO_COLOR": "1"}


@pytest.fixture
def directory() -> Directory:
    """A tenant in which nothing is granted."""
    return Directory()


@pytest.fixture
def az(directory: Directory) -> Az:
    """Who runs the scripts: signed in to the directory."""
    return Az(directory)


@pytest.fixture
def shell(tmp_path: Path, az: Az) -> Iterator[Script]:
    """Runs a bash script with a stand-in for the Azure CLI and without waiting."""
    if shutil.which("bash") is None:
        missing("bash is missing: install it")
    programs, naps = tmp_path / "bin", tmp_path / "naps"
    programs.mkdir()
    (programs / "sleep").write_text(f'#!/bin/sh\necho "$1" >>"{naps}"\n', "utf-8")
    (programs / "sleep").chmod(0o755)
    with serving_az(az.run, programs / "az"):
        yield Script({"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}, naps)
