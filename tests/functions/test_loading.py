"""Loading the functions is fast: a host that starts does not wait for libraries."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.served_world import ROOT

HEAVY = ["azure.identity", "azure.storage", "azure.core", "PIL", "msal", "requests", "cryptography"]

LOAD = """
import json, sys
from pathlib import Path
before = set(sys.modules)
from local.host import Worker
with Worker(Path.cwd()) as worker:
    names = [function.name for function in worker.functions]
    print(json.dumps({"functions": names, "modules": sorted(sys.modules), "path": sys.path}))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """Functions and modules of a fresh process that has loaded the app under the worker."""
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(  # noqa: S603 - our own command line
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    document: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return document


def test_all_functions_load(loaded: dict[str, list[str]]) -> None:
    assert sorted(loaded["functions"]) == ["Portal", "SyncHttp", "SyncTimer"]


@pytest.mark.parametrize("name", HEAVY)
def test_loading_does_not_import_heavy_libraries(loaded: dict[str, list[str]], name: str) -> None:
    """They are imported by the first call that needs them, within its own time."""
    assert [found for found in loaded["modules"] if f"{found}.".startswith(f"{name}.")] == []


def test_there_is_one_copy_of_the_core(loaded: dict[str, list[str]]) -> None:
    """Imported as `shared`, never through the worker's namespace: caches and types are single."""
    assert [name for name in loaded["modules"] if name.startswith("__app__.shared")] == []


def test_the_app_root_is_searched_last(loaded: dict[str, list[str]]) -> None:
    """As on Flex Consumption, so that a dependency cannot hide our package there only."""
    assert loaded["path"][-1] == str(ROOT)
