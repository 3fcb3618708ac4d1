"""Windows by themselves: what goes along when users change theirs, and one patience for each."""

from concurrent.futures import Future
from typing import Any, cast

from local.support.clock import VirtualClock
from shared.sync.window import Window
from tests.support.people import kept, users

ANN, BEN, CAM = users(3)


def test_a_late_write_takes_along_what_was_seen_of_its_user() -> None:
    """And whether it was a look; the others stay where they are."""
    clock = VirtualClock()
    window, following = Window(clock), Window(clock)
    for one in (ANN, BEN, CAM):
        window.writes[one.id] = cast("Any", (None, Future()))
    window.seen = {ANN.id: kept(ANN), BEN.id: None, CAM.id: None}
    window.looks = {ANN.id, CAM.id}
    window.hand_over([ANN.id, BEN.id], following)
    assert following.seen == {ANN.id: kept(ANN), BEN.id: None}
    assert following.looks == {ANN.id}
    assert (list(window.writes), list(following.writes)) == ([CAM.id], [ANN.id, BEN.id])


def test_patience_is_counted_by_the_clock_of_the_program() -> None:
    """A clock that tests drive counts as time."""
    clock = VirtualClock()
    patience = Window(clock).patience(ANN.id)
    with patience.running():
        clock.advance(12)
    assert patience.left == 18
