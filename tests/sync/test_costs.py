"""What users cost, counted: on the tenant's tape and at the door of the storage account."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from local.tools.measured import seed
from shared.sync.nightly import slice_size
from tests.support.world import World, outcomes

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
    here = world(users=100)
    here.fire()
    blob_writes.clear()
    run = here.night()
    assert not [name for name in blob_writes if name.startswith("state/")]
    assert blob_writes.keys() == {"run.json", f"runs/{run.started}.json"}


def test_a_changed_user_costs_five_requests(world: Make) -> None:
    """Photo, three uploads, one query; tokens are shared by all."""
    here = world(users=100)
    here.fire()
    here.night()
    unchanged = here.operations()
    here.tenant.population.change(25, seed=3)
    here.night()
    more = here.operations() - unchanged - Counter({"token": 2})
    assert more == {"photo.bytes": 25, "file.upload": 75, "profile.write": 25}


def test_first_seen_users_share_their_profile_reads(world: Make) -> None:
    """On a first run a profile costs a twentieth of a request, and the folder is looked up once."""
    here = world(users=100)
    here.fire()
    operations = here.operations()
    assert operations["profile.batch"] == 100 / 20
    assert operations["folder.read"] == 1
    assert operations["file.upload"] + operations["profile.write"] == 400


def test_state_is_written_once_per_slice_and_shard(world: Make, blob_writes: Counter[str]) -> None:
    """On a first run: no blob of the state is written twice for the same slice."""
    here = world(users=200)
    here.fire()
    ids, size = here.ids(), slice_size(200)
    slices = [ids[start : start + size] for start in range(0, 200, size)]
    pairs = [(number, i[:2]) for number, slice_ in enumerate(slices) for i in slice_]
    expected = Counter(f"state/{shard}.json" for _, shard in set(pairs))
    assert {n: c for n, c in blob_writes.items() if n.startswith("state/")} == expected
    # At the start and the end, before and after each slice; and the empty one for the lease.
    assert blob_writes["run.json"] <= 2 * len(slices) + 3
