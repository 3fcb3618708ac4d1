"""Fixtures of the engine's tests."""

from collections.abc import Iterator

import pytest

from shared.sync import in_flight
from tests.support.memory_executors import Held
from tests.support.rendering import rendered_once


@pytest.fixture(autouse=True)
def _rendered_once() -> Iterator[None]:
    with rendered_once():
        yield


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """Writers that work only when somebody waits for them."""
    pool = Held()
    monkeypatch.setattr(in_flight, "wait", pool.wait)
    return pool
