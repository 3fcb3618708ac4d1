"""A user's turn: what its record says of files before and after the write."""

from dataclasses import replace

from shared.model import Outcome, ThumbnailLocation, User
from shared.photos import Thumbnails
from shared.sync.plan import ON_DEMAND, Policy
from shared.sync.user_sync import Turn

USER = User("6e000000-0000-4000-8000-000000000000", "a@contoso.com")
PLACE = ThumbnailLocation("https://contoso-my.sharepoint.com", "Profile Pictures", USER.id)


def first_write() -> Turn:
    """A turn that is about to write somebody of whom nothing is recorded."""
    policy = Policy(now=1_700_000_000.0, run=ON_DEMAND)
    images = Thumbnails(b"s", b"m", b"l")
    return Turn(USER, policy, None, place=PLACE, images=images, outcome=Outcome.UPDATED)


def test_a_first_write_is_known_before_it_begins() -> None:
    """The record names the files and claims nothing of what they hold."""
    record = first_write().withdraw()
    assert record is not None
    assert record.photo is not None
    assert (record.photo.place, record.photo.etag, record.photo.sha256) == (PLACE, "", "")


def test_a_first_write_that_never_began_leaves_no_files_of_ours() -> None:
    """Out of time before anything was sent: what is there belongs to somebody else."""
    turn = first_write()
    before = turn.withdraw()
    assert before is not None
    assert turn.change() == replace(before, photo=None, verified_at="")


def test_a_first_write_that_began_keeps_its_files() -> None:
    """Cut off after the first effect: the files stay known as ours, content unknown."""
    turn = first_write()
    before = turn.withdraw()
    turn.begun = True
    assert turn.change() == before
