"""Fixtures of the engine's tests."""

from typing import Any

import pytest

from shared.sync import engine as engine_module
from shared.sync import user_sync
from tests.support.memory_executors import Held

RENDERED: dict[tuple[bytes, tuple[int, int, int]], Any] = {}


@pytest.fixture(autouse=True)
def _render_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same photo is rendered once for all tests of this file."""
    real = vars(user_sync)["render"]

    def render(data: bytes, sizes: tuple[int, int, int]) -> Any:
        if (data, sizes) not in RENDERED:
            RENDERED[data, sizes] = real(data, sizes)
        return RENDERED[data, sizes]

    monkeypatch.setattr(user_sync, "render", render)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """Writers that work only when somebody waits for them."""
    pool = Held()
    monkeypatch.setattr(engine_module, "wait", pool.wait)
    return pool
