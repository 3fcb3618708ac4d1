"""One geo in trouble, and files that SharePoint keeps: what a night makes of them."""

from collections.abc import Callable

import pytest

from local.tenant import Fault, Quirks
from tests.support.oracle import Oracle
from tests.support.world import World, outcomes

Make = Callable[..., World]


@pytest.mark.parametrize("missing", ["library", "token"])
def test_a_satellite_in_trouble_fails_its_users_only(world: Make, missing: str) -> None:
    """B4: they fail with the remedy, everybody else is done, and they heal when it is mended."""
    quirks = Quirks(second_geo=True)
    setattr(quirks, f"second_geo_{missing}", False)
    here = world(users=30, shards=1, quirks=quirks)
    oracle = Oracle(here)
    abroad = {p.id for p in oracle.people() if p.geo}
    assert len(abroad) == 3
    for _ in range(2):
        run = here.night()
        assert run.status == "completed"
        assert outcomes(run)["failed"] == 3
        assert oracle.false_claims() == []
    lines = {line["id"]: line["detail"] for line in here.lines(run) if line["outcome"] == "failed"}
    assert set(lines) == abroad
    host = here.tenant.url("mysite2").removeprefix("https://")
    assert all(host in detail for detail in lines.values())
    quirks.second_geo_token = True
    if missing == "library":
        here.tenant.sharepoint.library["mysite2"].create_library()
    oracle.verify(here.night(30))


def test_a_file_that_sharepoint_keeps(world: Make) -> None:
    """Contract 3: nothing is shown any more, so the user is `removed`; `detail` names the files."""
    here = world(users=4, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"}, settled=True)
    user_id = here.ids()[0]
    library = here.tenant.sharepoint.library["mysite"]
    for path in [path for path in library.contents() if user_id in path and "MThumb" in path]:
        library.file(path).retained = True
    here.tenant.directory.remove_photo(user_id)
    run = here.night()
    assert outcomes(run) == {"unchanged": 3, "removed": 1}
    (line,) = here.lines(run)
    assert f"{user_id}_MThumb.jpg" in line["detail"]
    assert f"{user_id}_SThumb.jpg" not in line["detail"]
    assert here.tenant.sharepoint.shown_picture(user_id) is None
    (kept,) = [name for name in here.tenant.sharepoint.files() if user_id in name]
    assert kept.endswith(f"/{user_id}_MThumb.jpg")
    assert outcomes(here.night()) == {"unchanged": 3, "no_photo": 1}


def test_removals_go_on_while_a_satellite_is_in_trouble(world: Make) -> None:
    """B4: nobody of the central geo waits for it, and its own users are cleared when it works."""
    quirks = Quirks(second_geo=True)
    settings = {"REMOVAL_CONFIRMATIONS": "1", "REMOVAL_LIMIT": "100%"}
    here = world(users=100, shards=1, quirks=quirks, settings=settings, settled=True)
    oracle = Oracle(here)
    abroad = [p.id for p in oracle.people() if p.geo]
    at_home = here.ids()[-1]
    assert at_home not in abroad
    for user_id in (*abroad, at_home):
        here.tenant.directory.remove_photo(user_id)
    for origin in ("admin2", "mysite2"):
        here.tenant.faults.add(
            Fault("forbidden", operation="file.recycle", origin=origin, times=None)
        )
        here.tenant.faults.add(
            Fault("forbidden", operation="profile.write", origin=origin, times=None)
        )
    run = here.night()
    assert (run.status, outcomes(run)) == (
        "completed",
        {"unchanged": 89, "removed": 1, "failed": 10},
    )
    assert oracle.false_claims() == []
    here.tenant.faults.clear()
    assert outcomes(here.night(30)) == {"unchanged": 89, "no_photo": 1, "removed": 10}
    oracle.look()
