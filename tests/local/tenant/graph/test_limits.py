"""Throttling by Graph, by a clock that the test drives."""

from typing import Any

import pytest

from local.support.clock import VirtualClock
from local.tenant import Fault, Quotas, Tenant

LIST = "/users?$top=1&$select=id"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_resource_units(make_tenant: Any, connect: Any, clock: VirtualClock) -> None:
    """Directory calls cost 1 or 2 units; 429 says truly when to come back."""
    tenant: Tenant = make_tenant(clock=clock, quotas=Quotas(graph_units_per_10s=4))
    graph = connect(tenant)
    assert graph.read("/users").headers["x-ms-resource-unit"] == "2"
    assert graph.read(LIST).headers["x-ms-resource-unit"] == "1"
    clock.advance(4)
    assert graph.read(LIST).status_code == 200
    refused = graph.read(LIST)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "TooManyRequests"
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    wait = int(refused.headers["Retry-After"])
    assert wait == 6
    clock.advance(wait)
    assert graph.read(LIST).status_code == 200
    assert [entry.throttled for entry in tenant.tape.entries()] == [0, 0, 0, 1, 0]


def test_throttled_calls_count(make_tenant: Any, connect: Any, clock: VirtualClock) -> None:
    """Who goes on asking while throttled stays throttled."""
    graph = connect(make_tenant(clock=clock, quotas=Quotas(graph_units_per_10s=2)))
    statuses = []
    for _ in range(8):
        statuses.append(graph.read(LIST).status_code)
        clock.advance(4)
    assert statuses == [200, 200, 429, 429, 429, 429, 429, 429]


def test_items_are_throttled_one_by_one(
    make_tenant: Any, connect: Any, clock: VirtualClock
) -> None:
    """The envelope is 200, items above the limit are 429 with their own Retry-After."""
    tenant: Tenant = make_tenant(clock=clock, users=60, quotas=Quotas(graph_photos_per_10s=15))
    graph = connect(tenant)
    urls = [f"/users/{person}/photo" for person in list(tenant.directory.people)[:20]]
    answers = graph.batch(urls).values()
    refused = [item for item in answers if item["status"] == 429]
    assert len(refused) == 5
    assert {item["headers"]["Retry-After"] for item in refused} == {"10"}
    assert {item["body"]["error"]["code"] for item in refused} == {"ApplicationThrottled"}
    assert tenant.tape.entries()[-1].throttled == 5


def test_envelope_of_older_documentation(make_tenant: Any, connect: Any) -> None:
    """A quirk answers 424 for a batch with a throttled item, with all its responses."""
    tenant: Tenant = make_tenant(quotas=Quotas(graph_photos_per_10s=1))
    tenant.quirks.throttled_envelope = 424
    graph = connect(tenant)
    url = f"/users/{graph.person('ordinary')}/photo"
    items = [{"id": key, "method": "GET", "url": url} for key in "ab"]
    answer = graph.envelope(items)
    assert answer.status_code == 424
    assert sorted(item["status"] for item in answer.json()["responses"]) == [200, 429]


def test_mailbox_concurrency_has_no_retry_after(make_tenant: Any, connect: Any) -> None:
    """Too many photo calls in flight: 429 without Retry-After, over as soon as others end."""
    tenant: Tenant = make_tenant(quotas=Quotas(graph_photos_in_flight=0))
    graph = connect(tenant)
    url = f"/users/{graph.person('ordinary')}/photo"
    refused = graph.read(url)
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert "MailboxConcurrency" in refused.json()["error"]["message"]
    assert graph.batch([url])[url]["status"] == 429
    assert graph.read(LIST).status_code == 200
    tenant.quotas.graph_photos_in_flight = 1
    assert graph.read(url).status_code == 200


@pytest.mark.parametrize(("count", "rounds"), [(1, 1), (4, 1), (5, 2), (20, 5)])
def test_four_at_a_time(
    make_tenant: Any, connect: Any, clock: VirtualClock, count: int, rounds: int
) -> None:
    """Graph forwards four photo requests of a batch at a time."""
    tenant: Tenant = make_tenant(clock=clock, quotas=Quotas(graph_photo_latency=0.25))
    graph = connect(tenant)
    before = clock.time()
    graph.batch([f"/users/{person}/photo" for person in list(tenant.directory.people)[:count]])
    assert clock.time() - before == pytest.approx(rounds * 0.25)


@pytest.mark.parametrize(
    ("count", "directory", "units", "managers"),
    [
        (10, 3_500, 1_250, 3_000),
        (500, 5_000, 1_250, 3_000),
        (40_000, 8_000, 5_000, 12_000),
        (200_000, 8_000, 6_250, 15_000),
    ],
)
def test_published_figures(count: int, directory: int, units: int, managers: int) -> None:
    """Quotas follow the published tiers."""
    quotas = Quotas.for_licences(count)
    assert quotas.graph_units_per_10s == directory
    assert quotas.sharepoint_units_per_minute == units
    assert quotas.people_manager_per_5min == managers


@pytest.mark.parametrize("kind", ["item_missing", "item_unknown_id", "item_status"])
def test_spoilt_items(make_tenant: Any, connect: Any, kind: Any) -> None:
    """A planned fault spoils one person's item and leaves the others."""
    tenant: Tenant = make_tenant()
    graph = connect(tenant)
    people = list(tenant.directory.people)[:5]
    tenant.faults.add(Fault(kind, person=people[3], status=503, retry_after=7))
    answer = graph.envelope(
        [{"id": one, "method": "GET", "url": f"/users/{one}/photo"} for one in people]
    )
    found = {item["id"]: item for item in answer.json()["responses"]}
    spoilt = found.pop(people[3], None)
    if kind == "item_status":
        assert spoilt is not None
        assert spoilt["status"] == 503
        assert spoilt["headers"]["Retry-After"] == "7"
    else:
        assert spoilt is None
        assert len(found) == (5 if kind == "item_unknown_id" else 4)
    assert {found[one]["status"] for one in people if one in found} == {200}
    assert graph.batch([f"/users/{people[3]}/photo"]).popitem()[1]["status"] == 200
