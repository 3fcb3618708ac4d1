"""JSON batches: what the envelope accepts, and how items are answered."""

from typing import Any

import pytest

from local.tenant import Quirks, Tenant

READ = {"method": "GET", "url": "/users?$top=1&$select=id"}


def items(count: int) -> list[dict[str, str]]:
    return [READ | {"id": str(number)} for number in range(count)]


@pytest.mark.parametrize(
    ("requests", "status"),
    [
        (items(20), 200),
        (items(21), 400),
        ([], 400),
        ("none", 400),
        ([{}], 400),
        ([READ], 400),
        ([READ | {"id": 1}], 400),
        ([READ | {"id": ""}], 400),
        ([{"id": "1", "url": "/users"}], 400),
        ([{"id": "1", "method": "GET"}], 400),
        ([READ | {"id": "a"}, READ | {"id": "A"}], 400),
        ([READ | {"id": "1", "uri": "/users"}], 400),
        ([READ | {"id": "1", "url": "https://graph.microsoft.com/v1.0/users"}], 400),
        ([READ | {"id": "1", "body": {"x": 1}}], 400),
        ([READ | {"id": "1", "dependsOn": ["2"]}], 400),
        ([READ | {"id": "1"}, READ | {"id": "2", "dependsOn": ["1"]}], 200),
    ],
)
def test_envelope(graph: Any, requests: object, status: int) -> None:
    """At most 20 items, each with a unique id, a method and a relative URL."""
    answer = graph.envelope(requests)
    assert answer.status_code == status, answer.text[:300]
    if status == 400:
        assert answer.json()["error"]["code"] == "BadRequest"


def test_envelope_must_be_json(graph: Any) -> None:
    """Another content type, no JSON, or GET is refused."""
    url = f"{graph.root}/$batch"
    assert (
        graph.post(url, data=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    )
    assert graph.post(url, data=b"a=b").status_code == 400
    assert graph.get(url).status_code == 405


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/users?$top=1", 200),
        ("users?$top=1", 200),
        ("/v1.0/users", 400),
        ("/$batch", 400),
        ("/users/miles.o'brien@contoso.com", 400),
        ("/users/miles.o%27brien@contoso.com", 200),
        ("/users('miles.o''brien@contoso.com')", 200),
        ("/users/c#coder@contoso.com", 400),
        ("/users/c%23coder@contoso.com", 200),
        ("/users/q&a@contoso.com", 200),
        ("/users/nina+photos@contoso.com", 200),
        ("/users/nina%20photos@contoso.com", 404),
        ("/users/100%25effort@contoso.com", 404),
        ("/users/100%2525effort@contoso.com", 200),
        ("/users/łukasz.żółć@contoso.com", 400),
        ("/users/%C5%82ukasz.%C5%BC%C3%B3%C5%82%C4%87@contoso.com", 200),
        ("/users/%FF%FE@contoso.com", 400),
        ("/users?$filter=startswith(mail,'a#')", 400),
        ("/me/photo", 400),
        ("/users/delta", 501),
    ],
)
def test_item_urls(graph: Any, url: str, status: int) -> None:
    """Item URLs are relative and percent-encoded once; one bad item harms no other."""
    good = "/users?$top=2"
    answers = graph.batch([url, good])
    assert answers[url]["status"] == status, answers[url]["body"]
    assert answers[good]["status"] == 200


def test_other_methods_are_refused(graph: Any) -> None:
    """The emulation has nothing to write in Graph."""
    answer = graph.envelope([{"id": "1", "method": "DELETE", "url": "/users/x"}])
    assert answer.json()["responses"][0]["status"] == 405


def test_headers_of_an_item(graph: Any) -> None:
    """ConsistencyLevel counts on the item, not on the envelope."""
    url = "/users?$filter=userType ne 'Guest'&$count=true&$select=id".replace(" ", "%20")
    item = {"id": "1", "method": "GET", "url": url}
    graph.headers["ConsistencyLevel"] = "eventual"
    assert graph.envelope([item]).json()["responses"][0]["status"] == 400
    item |= {"headers": {"consistencylevel": "eventual"}}  # type: ignore[dict-item] # JSON
    assert graph.envelope([item]).json()["responses"][0]["status"] == 200


def test_failed_dependency(graph: Any) -> None:
    """An item that depends on a failed one is 424."""
    answer = graph.envelope(
        [
            {"id": "1", "method": "GET", "url": "/users/nobody@contoso.com"},
            READ | {"id": "2", "dependsOn": ["1"]},
        ]
    )
    found = {item["id"]: item["status"] for item in answer.json()["responses"]}
    assert found == {"1": 404, "2": 424}


def test_answers_come_in_any_order(graph: Any) -> None:
    """Every id comes back once, rarely in the order asked."""
    orders = set()
    for _ in range(5):
        found = [item["id"] for item in graph.envelope(items(20)).json()["responses"]]
        assert sorted(found, key=int) == [str(number) for number in range(20)]
        orders.add(tuple(found))
    assert len(orders) > 1


def test_order_can_be_kept(make_tenant: Any, connect: Any) -> None:
    """A quirk keeps the order."""
    graph = connect(make_tenant(users=5, quirks=Quirks(batch_shuffled=False)))
    found = [item["id"] for item in graph.envelope(items(20)).json()["responses"]]
    assert found == [str(number) for number in range(20)]


def test_tape_of_a_batch(graph: Any, tenant: Tenant) -> None:
    """The tape knows a photo batch by name and lists its items."""
    urls = [f"/users/{person}/photo" for person in list(tenant.directory.people)[:3]]
    graph.batch(urls)
    (entry,) = tenant.tape.entries(operation="photo.batch")
    assert entry.items == tuple(urls)
    assert entry.service == "graph"
    assert not entry.changes
