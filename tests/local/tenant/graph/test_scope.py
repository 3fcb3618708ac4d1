"""What Graph answers about membership, combined filters and photos that cannot be reached."""

from collections.abc import Callable
from typing import Any

import pytest

from local.tenant import PhotoError, Quirks, Tenant

PLANS = " or ".join(
    f"assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq '{status}')"
    for status in ("Enabled", "Warning")
)
SCOPE = f"accountEnabled eq true and userType ne 'Guest' and ({PLANS})"
OUTER = "00000000-aaaa-4bbb-8ccc-000000000001"


def check(graph: Any, user: str, body: object) -> Any:
    return graph.post(f"{graph.root}/users/{user}/checkMemberGroups", json=body, timeout=10)


def test_membership_is_transitive(graph: Any, tenant: Tenant) -> None:
    """A member of a group in the group is a member; an id that is no group is left out."""
    inner = tenant.group_id
    tenant.directory.groups[OUTER] = {inner}
    member = next(iter(tenant.directory.groups[inner]))
    other = next(
        key for key in tenant.directory.people if key not in tenant.directory.groups[inner]
    )
    groups = {"groupIds": [OUTER, inner, "00000000-aaaa-4bbb-8ccc-00000000dead"]}
    assert check(graph, member, groups).json()["value"] == [OUTER, inner]
    assert check(graph, other, groups).json()["value"] == []


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"groupIds": []},
        {"groupIds": "x"},
        {"groupIds": ["x"]},
        {"groupIds": [1]},
        {"groupIds": [OUTER] * 21},
    ],
)
def test_a_question_of_another_shape(graph: Any, body: object) -> None:
    """One to twenty ids of groups, nothing else."""
    assert check(graph, graph.person("hash"), body).status_code == 400


def test_who_is_asked_for_must_exist(graph: Any) -> None:
    """404 with the directory's code."""
    answer = check(graph, "00000000-aaaa-4bbb-8ccc-00000000dead", {"groupIds": [OUTER]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


@pytest.mark.parametrize("missing", ["User.Read.All", "GroupMember.Read.All"])
def test_both_roles_are_needed(graph: Any, tenant: Tenant, missing: str) -> None:
    """One for users and one for groups."""
    tenant.roles["graph"].discard(missing)
    graph.renew()
    assert check(graph, graph.person("hash"), {"groupIds": [OUTER]}).status_code == 403


def test_other_methods(graph: Any) -> None:
    """It is an action: nothing but POST, and nothing but this one is."""
    url = f"{graph.root}/users/{graph.person('hash')}"
    assert graph.get(f"{url}/checkMemberGroups", timeout=10).status_code == 400
    assert graph.post(url, json={}, timeout=10).status_code == 405


def test_membership_in_a_batch(graph: Any, tenant: Tenant) -> None:
    """An item with a body needs headers."""
    member = next(iter(tenant.directory.groups[tenant.group_id]))
    item = {
        "id": "0",
        "method": "POST",
        "url": f"/users/{member}/checkMemberGroups",
        "headers": {"Content-Type": "application/json"},
        "body": {"groupIds": [tenant.group_id]},
    }
    answer = graph.envelope([item]).json()["responses"][0]
    assert (answer["status"], answer["body"]["value"]) == (200, [tenant.group_id])


def test_one_user_of_a_filter(graph: Any, tenant: Tenant) -> None:
    """An id and a filter give this user or nobody."""
    for kind, count in (("ordinary", 1), ("oldest account", 1), ("grace", 1), ("guest", 0)):
        user_id = graph.person(kind)
        found = graph.advanced(filter_=f"id eq '{user_id}' and ({SCOPE})").json()["value"]
        assert [user["id"] for user in found] == [user_id] * count
    assert tenant.directory.people[graph.person("oldest account")].user_type is None


def test_a_tenant_that_refuses_combined_filters(
    make_tenant: Callable[..., Tenant], connect: Callable[[Tenant], Any]
) -> None:
    """400 for two `any()`, 200 for one."""
    graph = connect(make_tenant(users=3, quirks=Quirks(combined_filter_refused=True)))
    assert graph.advanced(filter_=SCOPE).status_code == 400
    assert graph.advanced(filter_=PLANS.partition(" or ")[0]).status_code == 200


@pytest.mark.parametrize("path", ["photo", "photo/$value", "photos/648x648/$value"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PhotoError(), "application/json"),
        (PhotoError(410, "Gone"), "application/json"),
        (PhotoError(404, body="html"), "text/html"),
        (PhotoError(404, body="empty"), "text/plain"),
    ],
)
def test_a_photo_that_cannot_be_reached(
    graph: Any, tenant: Tenant, path: str, error: PhotoError, kind: str
) -> None:
    """Metadata and bytes answer the same; a body that is no JSON comes as text in a batch."""
    user_id = graph.person("ordinary")
    tenant.directory.people[user_id].photo_error = error
    answer = graph.read(f"/users/{user_id}/{path}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (error.status, kind)
    item = graph.batch([f"/users/{user_id}/{path}"])[f"/users/{user_id}/{path}"]
    assert item["status"] == error.status
    assert isinstance(item["body"], dict if error.body == "json" else str)
