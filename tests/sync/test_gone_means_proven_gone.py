"""Only an answer known to mean "this user has no photo" takes a picture away."""

from collections.abc import Callable

import pytest

from local.tenant import Fault
from local.tenant.directory import PhotoError
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.world import World, outcomes

Make = Callable[..., World]

KNOWN = ["ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound", "GetUserPhoto"]
UNKNOWN = [
    PhotoError(),
    PhotoError(code="MailboxNotEnabledForRESTAPI"),
    PhotoError(code="ResourceNotFound"),
    PhotoError(body="html"),
    PhotoError(body="empty"),
]


def named(error: PhotoError) -> str:
    """For the name of a test."""
    return error.code if error.body == "json" else error.body


@pytest.mark.parametrize("error", sample(UNKNOWN, 2), ids=named)
def test_an_unknown_404_proves_nothing(world: Make, error: PhotoError) -> None:
    """A2, A3: pictures stay, night after night, and by a forced call; who has none has none."""
    here = world(users=20, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"})
    people = list(here.tenant.directory.people.values())
    for person in people[:2]:
        here.tenant.directory.remove_photo(person.id)
    oracle = Oracle(here)
    oracle.verify(here.fire())
    files = here.tenant.sharepoint.files()
    for person in people[:10]:
        person.photo_error = error

    for _ in range(3):
        run = here.night(8)
        assert outcomes(run) == {"unchanged": 10, "failed": 8, "no_photo": 2}
    assert here.call(people[5].id).outcome == "failed"
    assert here.call(people[6].id, force=True).outcome == "failed"
    assert here.call(people[0].id, force=True).outcome == "no_photo"

    assert here.writes() == []
    assert here.tenant.sharepoint.files() == files
    assert all(record.missing is None for record in here.records().values())
    assert oracle.wrong() == {}
    for person in people[:10]:
        person.photo_error = None
    oracle.verify(here.night(60))


@pytest.mark.parametrize("body", ["html", "empty"])
@pytest.mark.parametrize("force", [True, False], ids=["forced", "unforced"])
def test_bytes_that_answer_an_unknown_404(world: Make, force: bool, body: str) -> None:
    """A3: a version is there and only the bytes answer 404: the picture stays."""
    here = world(users=4, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"}, settled=True)
    oracle = Oracle(here)
    user_id = here.ids()[1]
    fault = here.tenant.faults.add(
        Fault("status", operation="photo.bytes", person=user_id, status=404, times=None)
    )
    fault.body = "html" if body == "html" else "empty"
    here.tenant.tape.clear()
    for _ in range(2):
        outcome = here.call(user_id, force=force).outcome
        assert outcome == ("failed" if force else "unchanged")
    assert outcomes(here.night(60)) == {"unchanged": 3, "failed": 1}

    assert here.writes() == []
    assert oracle.wrong() == {}
    assert oracle.false_claims() == []


@pytest.mark.parametrize("code", KNOWN)
def test_a_known_code_means_no_photo(world: Make, code: str) -> None:
    """Each of the four codes of the contract is believed: the picture is cleared."""
    here = world(users=4, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"}, settled=True)
    person = here.tenant.directory.people[here.ids()[0]]
    person.photo_error = PhotoError(code=code)
    assert outcomes(here.night()) == {"unchanged": 3, "removed": 1}
    assert here.tenant.sharepoint.shown_picture(person.id) is None


def test_calls_confirm_nothing(world: Make) -> None:
    """A7: 12 removals are held back by the limit; 12 unforced calls remove none of them."""
    here = world(users=40, shards=1, settings={"REMOVAL_LIMIT": "11"}, settled=True)
    whose = here.ids()[:12]
    for user_id in whose:
        here.tenant.directory.remove_photo(user_id)
    assert here.call(whose[0]).outcome == "removal_pending"
    assert here.call(whose[0]).outcome == "removal_pending"
    assert here.records()[whose[0]].missing is None
    assert outcomes(here.night()) == {"unchanged": 28, "removal_pending": 12}
    assert {r.missing.runs for r in here.records().values() if r.missing} == {1}
    for user_id in whose:
        assert here.call(user_id).outcome == "removal_pending"
    run = here.night()
    assert outcomes(run) == {"unchanged": 28, "removal_pending": 12}
    assert run.removals_held_back == 12
    for user_id in whose:
        assert here.call(user_id).outcome == "removal_pending"
    assert here.writes() == []
    assert here.call(whose[0], force=True).outcome == "removed"


def test_a_call_after_the_nights_agreed(world: Make) -> None:
    """What the nightly runs have confirmed, and held back nothing of, an unforced call removes."""
    here = world(users=6, shards=1, settled=True)
    user_id = here.ids()[0]
    here.tenant.directory.remove_photo(user_id)
    here.night()
    assert here.call(user_id).outcome == "removal_pending"
    here.tenant.faults.add(Fault("status", operation="scope.batch", status=429, retry_after=3000))
    assert here.night().status == "interrupted"
    assert here.call(user_id).outcome == "removed"
    assert here.tenant.sharepoint.shown_picture(user_id) is None
