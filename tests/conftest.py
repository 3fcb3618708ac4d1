"""Fixtures of the tests of the whole program."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from local.support.azurite import Azurite
from shared.app import App
from shared.checkpoint.store import Checkpoint
from tests.support.blob_faults import BlobFaults, program
from tests.support.log_threads import watched
from tests.support.served_world import Served
from tests.support.world import World

pytest_plugins = ("tests.support.unmeasured",)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once for each tool that is missing what was not checked for want of it."""
    skipped = [r.longrepr[2] for r in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(text.removeprefix("Skipped: ") for text in skipped)
    for reason, count in sorted(reasons.items()):
        if " is missing: " in reason:
            terminalreporter.write_line(f"Not checked, {count} tests: {reason}", yellow=True)


_LONG = (
    "test_state_machine",
    "test_kill",
    "test_soak",
    "test_package",
    "test_failures",
    "test_poison",
)
"""Modules of tests that take ten seconds and more; nobody should wait for the last of them."""


def pytest_collection_finish() -> None:
    """Keep Python from looking for garbage among thousands of tests, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first."""
    items.sort(key=lambda item: item.path.stem not in _LONG)


@pytest.fixture(autouse=True)
def lost_log() -> Iterator[list[str]]:
    """Fail a test in which a thread of the program logs: the Functions host drops such records."""
    with watched() as lost:
        yield lost
    assert lost == []


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Blob storage, one for each test process."""
    with Azurite() as running:
        yield running


@pytest.fixture
def world(azurite: Azurite) -> Iterator[Callable[..., World]]:
    """Makes worlds (see `World`) that end with the test."""
    with ExitStack() as stack:

        def make(**arguments: Any) -> World:
            return stack.enter_context(World(azurite, **arguments))

        yield make


@pytest.fixture
def served(world: Callable[..., World]) -> Iterator[Callable[..., Served]]:
    """Makes a world whose functions answer over HTTP; one for each test."""
    with ExitStack() as stack:

        def make(**arguments: Any) -> Served:
            return stack.enter_context(Served(world(**arguments)))

        yield make


@pytest.fixture
def app(azurite: Azurite) -> App:
    """The program on a container that exists."""
    program_ = program(azurite)
    program_.checkpoint().prepare()
    return program_


@pytest.fixture
def checkpoint(app: App) -> Checkpoint:
    """Its checkpoint."""
    return app.checkpoint()


@pytest.fixture
def container(app: App) -> ContainerClient:
    """Its container, for those who look or meddle."""
    return app.container


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, azurite: Azurite) -> BlobFaults:
    """Faults of storage."""
    return BlobFaults(monkeypatch, azurite)
