"""What users cost, counted: on the tenant's tape and at the door of the storage account."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from local.tools.measured import seed
from shared.model import Outcome
from shared.sync import on_demand
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]


@pytest.fixture
def blob_writes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts successful writes of blobs by name inside the container."""
    found: Counter[str] = Counter()
    send = HTTPAdapter.send

    def watched(self: HTTPAdapter, request: PreparedRequest, **options: Any) -> Response:
        answer = send(self, request, **options)
        parts = urlsplit(str(request.url))
        if "devstoreaccount1" in parts.path and request.method == "PUT" and answer.ok:
            name = unquote(parts.path).split("/", 3)[-1]
            if "comp=lease" not in parts.query:
                found[name] += 1
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", watched)
    return found


def test_an_unchanged_user_costs_at_most_0_053_requests(world: Make) -> None:
    """All requests of the night count: token, listing, versions. None goes to SharePoint."""
    here = world(users=1000)
    seed(here.app())
    assert outcomes(here.night()) == {"unchanged": 1000}
    assert len(here.tenant.tape.entries()) <= 0.053 * 1000
    assert here.tenant.tape.count(service="sharepoint") == 0


def test_an_unchanged_night_writes_no_state(world: Make, blob_writes: Counter[str]) -> None:
    """Only the run's own documents are written."""
    here = world(users=100, shards=4, settled=True)
    blob_writes.clear()
    run = here.night()
    assert not [name for name in blob_writes if name.startswith("state/")]
    assert blob_writes.keys() == {
        "run.json",
        f"runs/{run.started}.json",
        f"runs/{run.started}.users",
    }


def test_a_changed_user_costs_five_requests(world: Make) -> None:
    """Photo, three uploads, one query; names and profiles are shared by twenty, tokens by all."""
    here = world(users=100, shards=4, settled=True)
    here.night()
    unchanged = here.operations()
    here.tenant.population.change(25, seed=3)
    here.night()
    more = here.operations() - unchanged - Counter({"token": 2})
    assert more == {
        "photo.bytes": 25,
        "file.upload": 75,
        "profile.write": 25,
        "user.batch": 2,
        "profile.batch": 2,
        "folder.read": 1,
    }


def test_first_seen_users_share_their_profile_reads(world: Make) -> None:
    """On a first run a profile costs a twentieth of a request, and the folder is looked up once."""
    here = world(users=100, shards=4)
    here.fire()
    operations = here.operations()
    assert operations["profile.batch"] == operations["user.batch"] == 100 / 20
    assert operations["folder.read"] == 1
    assert operations["file.upload"] + operations["profile.write"] == 400


def test_a_dense_night_writes_each_shard_at_most_twice(
    world: Make, blob_writes: Counter[str]
) -> None:
    """As in a tenant of a million: thousands of users in a shard, 0.5 % of them changed."""
    here = world(users=1200, shards=2)
    seed(here.app())
    here.night()
    here.tenant.population.change(6, seed=3)
    blob_writes.clear()
    run = here.night()
    assert outcomes(run) == {"unchanged": 1194, "updated": 6}
    writes = {name: n for name, n in blob_writes.items() if name.startswith("state/")}
    assert writes
    assert max(writes.values()) <= 2


def test_a_first_run_saves_a_shard_twice_a_window(world: Make, blob_writes: Counter[str]) -> None:
    """Withdrawn once and claimed once; the run's progress after each hundred users."""
    here = world(users=200, shards=1)
    here.fire()
    assert blob_writes["state/00.json"] == 2 * 2
    assert blob_writes["run.json"] <= 12


def test_a_warm_call_costs_at_most_eight_requests(world: Make) -> None:
    """User and version in one batch, profile, photo, three files, one query."""
    here = world(users=10)
    ids = here.ids()
    app = here.app()
    on_demand.sync_user(app, ids[0])
    here.tenant.tape.clear()
    result = on_demand.sync_user(app, ids[1])
    assert result.outcome is Outcome.UPDATED
    assert here.operations() == {
        "user.photo.batch": 1,
        "profile.read": 1,
        "photo.bytes": 1,
        "file.upload": 3,
        "profile.write": 1,
    }
    here.tenant.directory.set_photo(ids[1], jpeg())
    here.tenant.tape.clear()
    assert on_demand.sync_user(app, ids[1]).outcome is Outcome.UPDATED
    assert len(here.tenant.tape.entries()) <= 8
