"""The query of `POST /api/sync/{user}`: `force`, `dry_run`, and nothing else."""

from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.api import answer
from tests.support.served_world import Served
from tests.support.world import jpeg

Make = Callable[..., Served]


def someone(here: Served) -> str:
    """The id of the only person."""
    return next(iter(here.world.tenant.directory.people))


@pytest.mark.parametrize("value", ["true", "TRUE", "True", "1"])
def test_dry_run_says_what_would_be_done_and_writes_nothing(served: Make, value: str) -> None:
    """Neither SharePoint nor the user's record changes; the real call then does what was said."""
    here = served(users=1)
    user = someone(here)

    planned = here.post(user, f"dry_run={value}")

    assert planned.status == 200
    assert (planned.json["outcome"], planned.json["dryRun"]) == ("updated", True)
    assert planned.json["detail"] == "would be updated"
    assert here.world.tenant.tape.writes() == []
    assert here.world.blobs("state/") == {}
    assert here.get(user).status == 404
    done = here.post(user)
    assert (done.json["outcome"], done.json["dryRun"]) == ("updated", False)
    assert done.json["photo"] == planned.json["photo"]


@pytest.mark.parametrize("value", ["false", "FALSE", "0"])
def test_dry_run_switched_off_is_a_real_call(served: Make, value: str) -> None:
    here = served(users=1)
    reply = here.post(someone(here), f"dry_run={value}")
    assert (reply.json["outcome"], reply.json["dryRun"]) == ("updated", False)
    assert here.world.tenant.tape.writes() != []


def test_the_setting_makes_every_call_a_dry_run(served: Make) -> None:
    """`DRY_RUN=true` cannot be overruled by a caller."""
    here = served(users=1, settings={"DRY_RUN": "true"})
    reply = here.post(someone(here), "dry_run=false&force=true")
    assert (reply.json["outcome"], reply.json["dryRun"]) == ("updated", True)
    assert here.world.tenant.tape.writes() == []


@pytest.mark.parametrize("value", ["true", "1"])
def test_force_ignores_the_checkpoint(served: Make, value: str) -> None:
    """What is recorded as done is done again: photo read, three files and the profile written."""
    here = served(users=1)
    user = someone(here)
    here.post(user)
    here.world.tenant.tape.clear()
    assert here.post(user).json["outcome"] == "unchanged"
    assert here.world.tenant.tape.writes() == []
    assert here.post(user, "force=false").json["outcome"] == "unchanged"

    assert here.post(user, f"force={value}").json["outcome"] == "updated"

    operations = here.world.operations()
    assert operations["file.upload"] == 3
    assert operations["profile.write"] == 1


def test_force_and_dry_run_together_write_nothing(served: Make) -> None:
    here = served(users=1)
    user = someone(here)
    here.post(user)
    before = here.world.blobs("state/")
    here.world.tenant.tape.clear()
    reply = here.post(user, "force=true&dry_run=true")
    assert (reply.json["outcome"], reply.json["dryRun"]) == ("updated", True)
    assert here.world.tenant.tape.writes() == []
    assert here.world.blobs("state/") == before


def test_a_missing_photo_is_removed_only_by_force(served: Make) -> None:
    """A call removes nothing on the first sight of a missing photo, however often it is called."""
    here = served(users=1)
    user = someone(here)
    here.post(user)
    here.world.tenant.directory.remove_photo(user)

    for _ in range(3):
        assert here.post(user).json["outcome"] == "removal_pending"
    planned = here.post(user, "force=true&dry_run=true").json
    assert planned["outcome"] == "removed"
    assert planned["detail"].startswith("would be removed")
    assert here.world.tenant.sharepoint.shown_picture(user)

    assert here.post(user, "force=true").json["outcome"] == "removed"
    assert here.world.tenant.sharepoint.shown_picture(user) is None
    assert here.post(user).json["outcome"] == "no_photo"


BAD_QUERIES = [
    "dry_run=",
    "dry_run",
    "force=",
    "dry_run=yes",
    "dry_run=tru",
    "dry_run=true%20",
    "dry_run=true,true",
    "dry_run=2",
    "dry_run=%FF",
    "dryrun=true",
    "dry-run=true",
    "dryRun=true",
    "DRY_RUN=true",
    "dry_run%20=true",
    "Force=true",
    "dry_run=true&dry_run=true",
    "dry_run=true&dry_run=false",
    "dry_run=true;force=true",
    "dry_run=true&verbose=1",
    "=true",
    "user=adele@contoso.com",
    "dry_run=true?force=true",
    "code=key&dry_run=",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_unknown_misspelt_empty_and_repeated_parameters_are_refused(
    served: Make, query: str
) -> None:
    """A misspelled `dry_run` does not become a real run: 400, and nothing is sent."""
    here = served(users=1)
    reply = here.post(someone(here), query)
    assert (reply.status, reply.type) == (400, "application/problem+json")
    assert reply.json["type"] == "urn:photo-sync:problem:bad-query"
    assert here.world.tenant.tape.entries() == []


@pytest.mark.parametrize("query", ["force=true", "dry_run=true", "verbose=1", "x="])
def test_reading_takes_no_parameters(served: Make, query: str) -> None:
    here = served(users=1)
    for user in ("", someone(here)):
        assert here.get(user, query).status == 400
    assert here.world.tenant.tape.entries() == []


def test_the_answer_names_the_parameter_and_what_is_accepted(served: Make) -> None:
    here = served(users=1)
    user = someone(here)
    assert "'dryrun'" in here.post(user, "dryrun=true").json["detail"]
    assert "force and dry_run" in here.post(user, "dryrun=true").json["detail"]
    assert "dry_run must be true, false, 1 or 0" in here.post(user, "dry_run=ja").json["detail"]
    assert "twice" in here.post(user, "force=1&force=1").json["detail"]


_words = st.sampled_from(["force", "dry_run", "dryrun", "code", "Force", "", "true", "false", "1"])
_pairs = st.builds("{}={}".format, _words | st.text(max_size=5), _words | st.text(max_size=5))
_queries = st.lists(_pairs, max_size=4).map("&".join) | st.text(max_size=40)


def test_any_query_is_refused_or_does_exactly_what_it_says(served: Make) -> None:
    """Never a crash; 400 sends nothing; a real run only when nothing in it asks for a dry one."""
    here = served(users=1)
    user = someone(here)
    tenant = here.world.tenant

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(_queries)
    @example("force=1&dry_run=1")
    @example("\ud800=1")
    @example("force=true#&dry_run=true")
    def check(query: str) -> None:
        tenant.directory.set_photo(user, jpeg(side=64))
        tenant.tape.clear()
        reply = answer("POST", user, f"https://localhost/api/sync/{user}?{query}")
        assert reply.status in {200, 400}
        if reply.status == 400:
            assert tenant.tape.entries() == []
            return
        asked = dict(parse_qsl(query, keep_blank_values=True))
        assert {"force", "dry_run", "code"} >= asked.keys()
        if asked.get("dry_run", "false").lower() in {"true", "1"}:
            assert tenant.tape.writes() == []

    check()
