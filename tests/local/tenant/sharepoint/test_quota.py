"""SharePoint's limits, driven by a virtual clock."""

import pytest

from local.tenant.quirks import Quotas
from tests.local.tenant.sharepoint.in_process import (
    Bench,
    body_of,
    claim,
    folder_url,
    profile_url,
    upload_url,
)
from tests.local.tenant.sharepoint.test_process_query import document, query

ANNA = "anna@contoso.com"


def limited(**limits: int) -> Bench:
    """A tenant with these limits and anna in it, at the start of all windows."""
    made = Bench(quotas=Quotas(**limits))
    made.add(ANNA)
    return made


def test_without_quotas_nothing_is_throttled(bench: Bench) -> None:
    """By default any number of calls is answered, without RateLimit headers."""
    for _ in range(100):
        answer = bench.get(folder_url())
        assert answer.status == 200
    assert "RateLimit-Limit" not in answer.headers
    assert answer.units == 2


def test_app_minute_is_two_units_a_request() -> None:
    """The app's minute is spent at 2 units a request, then 429 with the seconds to wait."""
    made = limited(sharepoint_units_per_minute=20)
    statuses = [made.get(folder_url()).status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    made.clock.advance(15)
    throttled = made.get(folder_url())
    assert throttled.headers["Retry-After"] == "45"
    made.clock.advance(44)
    assert made.get(folder_url()).status == 429
    made.clock.advance(1)
    assert made.get(folder_url()).status == 200


def test_rate_limit_headers_appear_from_eighty_percent() -> None:
    """RateLimit headers come from 80 % of the minute on and count down to zero."""
    made = limited(sharepoint_units_per_minute=20)
    remaining = [made.get(folder_url()).headers.get("RateLimit-Remaining") for _ in range(11)]
    assert remaining == [None] * 7 + ["4", "2", "0", "0"]
    made.clock.advance(10)
    headers = made.get(folder_url()).headers
    assert (headers["RateLimit-Limit"], headers["RateLimit-Reset"]) == ("20", "50")


def test_apps_have_minutes_of_their_own_but_share_the_tenant() -> None:
    """Another app is not throttled by the first one's minute, yet by the tenant's limit."""
    made = limited(sharepoint_units_per_minute=4, sharepoint_tenant_units_per_5min=6)
    assert [made.get(folder_url()).status for _ in range(3)] == [200, 200, 429]
    assert made.get(folder_url(), app="other").status == 429
    made.clock.advance(60)
    assert made.get(folder_url()).status == 429
    made.clock.advance(240)
    assert made.get(folder_url(), app="other").status == 200


def test_throttled_calls_count_too() -> None:
    """Who goes on calling while throttled eats the day's units."""
    made = limited(sharepoint_units_per_minute=2, sharepoint_units_per_day=6)
    for _ in range(3):
        made.get(folder_url())
    made.clock.advance(60)
    answer = made.get(folder_url())
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 60


def test_people_manager_has_a_limit_of_the_whole_tenant() -> None:
    """Profile calls of all apps count against one limit; it shows no RateLimit headers."""
    made = limited(people_manager_per_5min=3)
    statuses = [made.get(profile_url(ANNA), app=f"app{n}").status for n in range(4)]
    assert statuses == [200, 200, 200, 429]
    answer = made.get(profile_url(ANNA))
    assert (answer.headers["Retry-After"], "RateLimit-Limit" in answer.headers) == ("300", False)
    assert made.get(folder_url()).status == 200


@pytest.mark.parametrize(("counted", "allowed"), [("each", 2), ("query", 6)])
def test_set_calls_in_a_query_count_each_or_once(counted: str, allowed: int) -> None:
    """Three Set calls in a query are three PeopleManager calls, or by quirk one."""
    made = limited(people_manager_per_5min=6)
    made.quirks.set_calls_counted = "each" if counted == "each" else "query"
    body = document([(claim(ANNA), "Title", "x")] * 3)
    statuses = [query(made, body).status for _ in range(allowed + 1)]
    assert statuses == [200] * allowed + [429]


def test_a_throttled_write_has_no_effect() -> None:
    """429 means that nothing was written."""
    made = limited(sharepoint_units_per_minute=2)
    made.get(folder_url())
    assert made.send("POST", upload_url("a.jpg"), b"x").status == 429
    assert made.sharepoint.files() == {}


def test_each_geo_has_its_own_usage() -> None:
    """Calls to one geo leave the other's limits alone."""
    made = limited(sharepoint_units_per_minute=2, people_manager_per_5min=1)
    assert made.get(profile_url(ANNA), origin="admin").status == 200
    assert made.get(profile_url(ANNA), origin="mysite").status == 429
    assert made.get(profile_url(ANNA), origin="admin2").status == 200


def test_unanswered_401_costs_nothing() -> None:
    """A request without a valid token is charged to nobody."""
    made = limited(sharepoint_units_per_minute=2)
    for _ in range(3):
        assert made.send("GET", folder_url(), audience="http://admin.test").status == 401
    assert made.get(folder_url()).status == 200


def test_published_figures() -> None:
    """The smallest tenant has the published limits: 1,250 units, 3,000 profile calls."""
    quotas = Quotas.smallest_tenant()
    assert quotas.sharepoint_units_per_minute == 1_250
    assert quotas.people_manager_per_5min == 3_000


def test_xml_and_json_clients_get_the_same_plain_429() -> None:
    """A throttled answer is text, so a client must not expect JSON in it."""
    made = limited(sharepoint_units_per_minute=1)
    answer = made.get(folder_url())
    assert (answer.status, answer.headers["Content-Type"]) == (429, "text/plain")
    with pytest.raises(ValueError, match="Extra data"):
        body_of(answer)
