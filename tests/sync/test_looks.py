"""How much of a firing may go into looks at photos that did not change."""

import pytest

from local.support.clock import VirtualClock
from shared.config import load
from shared.sync.firing import Firing
from tests.support.run_desk import SETTINGS


@pytest.mark.parametrize(("share", "expected"), [(0, True), (0.49, True), (0.51, False)])
def test_looks_end_in_the_middle_of_a_firing(share: float, expected: bool) -> None:
    """The second half belongs to photos that changed."""
    firing = Firing.__new__(Firing)
    firing._clock = clock = VirtualClock()
    firing._settings = load(SETTINGS)
    clock.advance(100)
    firing._began = clock.monotonic()
    clock.advance(firing._settings.time_budget * share)
    assert firing._has_time_for_looks() is expected
