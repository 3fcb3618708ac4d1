"""Listing users: pages, options, permissions."""

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from local.tenant import Tenant

SCOPE = (
    "accountEnabled eq true and userType eq 'Member' and"
    " assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')"
)


def code(answer: Any) -> str:
    error = answer.json()["error"]
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    return str(error["code"])


def test_default_properties_are_the_documented_eleven(graph: Any) -> None:
    """Without $select a user has eleven properties, and neither plans nor accountEnabled."""
    row = graph.read("/users").json()["value"][0]
    assert set(row) == {
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    }


@pytest.mark.parametrize(
    ("params", "status", "expected"),
    [
        ({"$top": "1"}, 200, ""),
        ({"$top": "999"}, 200, ""),
        ({"$top": "0"}, 400, "Request_BadRequest"),
        ({"$top": "1000"}, 400, "Request_BadRequest"),
        ({"$top": "ten"}, 400, "Request_BadRequest"),
        ({"$top": "-1"}, 400, "Request_BadRequest"),
        ({"$skip": "5"}, 400, "BadRequest"),
        ({"$sellect": "id"}, 400, "BadRequest"),
        ({"page": "2"}, 400, "BadRequest"),
        ({"$select": "id,nope"}, 400, "BadRequest"),
        ({"$select": "id,photo"}, 200, ""),
        ({"$select": "ID,userprincipalname"}, 200, ""),
        ({"$select": "id,mailboxSettings"}, 501, "NotImplemented"),
        ({"$select": "aboutMe"}, 501, "NotImplemented"),
        ({"$count": "true"}, 200, ""),
        ({"$filter": "accountEnabled eq true"}, 200, ""),
        ({"$filter": SCOPE}, 400, "Request_UnsupportedQuery"),
        ({"$filter": "userType ne 'Guest'"}, 400, "Request_UnsupportedQuery"),
        ({"$orderby": "displayName"}, 200, ""),
        (
            {"$orderby": "displayName", "$filter": "accountEnabled eq true"},
            400,
            "Request_UnsupportedQuery",
        ),
        ({"$filter": "this is no filter"}, 400, "BadRequest"),
        ({"$skiptoken": "made-up"}, 400, "BadRequest"),
    ],
)
def test_plain_query(graph: Any, params: dict[str, str], status: int, expected: str) -> None:
    """What a listing accepts without the advanced-query parameters, and how it refuses."""
    answer = graph.read("/users", params=params)
    assert answer.status_code == status, answer.text[:300]
    if expected:
        assert code(answer) == expected
    else:
        assert "@odata.count" not in answer.json()


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        ({}, "true"),
        ({"ConsistencyLevel": "eventual"}, "false"),
        ({"ConsistencyLevel": "x"}, "true"),
    ],
)
def test_advanced_query_needs_both_parameters(
    graph: Any, headers: dict[str, str], count: str
) -> None:
    """The header alone, or the count alone, is not enough for an advanced filter."""
    params = {"$filter": SCOPE, "$count": count}
    answer = graph.read("/users", params=params, headers=headers)
    assert (answer.status_code, code(answer)) == (400, "Request_UnsupportedQuery")


def test_pages_cover_everybody_once(graph: Any, tenant: Tenant) -> None:
    """Following the links yields every match once; only the first page has the count."""
    page = graph.advanced(select="id", filter_=SCOPE, top="7").json()
    counted, seen = page["@odata.count"], [row["id"] for row in page["value"]]
    while "@odata.nextLink" in page:
        link = page["@odata.nextLink"]
        assert link.startswith(graph.root)
        page = graph.get(link, headers={"ConsistencyLevel": "eventual"}).json()
        assert "@odata.count" not in page
        seen += [row["id"] for row in page["value"]]
    expected = {
        person.id
        for person in tenant.directory.people.values()
        if person.account_enabled
        and person.user_type == "Member"
        and any(
            plan["service"] == "exchange" and plan["capabilityStatus"] == "Enabled"
            for plan in person.plans
        )
    }
    assert len(seen) == counted == len(expected)
    assert set(seen) == expected


def test_every_page_needs_the_header(graph: Any) -> None:
    """The next link does not carry ConsistencyLevel."""
    link = graph.advanced(filter_=SCOPE, top="5").json()["@odata.nextLink"]
    assert code(graph.get(link)) == "Request_UnsupportedQuery"


def test_default_page_has_a_hundred(make_tenant: Any, connect: Any) -> None:
    """Without $top a page has 100 rows; a full last page has no link."""
    graph = connect(make_tenant(users=200, plain=True))
    first = graph.read("/users").json()
    assert len(first["value"]) == 100
    second = graph.get(first["@odata.nextLink"]).json()
    assert len(second["value"]) == 100
    assert "@odata.nextLink" not in second


def test_people_who_come_or_go_between_pages(graph: Any, tenant: Tenant) -> None:
    """A person deleted between two pages makes no other person be skipped or come twice."""
    page = graph.read("/users", params={"$select": "id", "$top": "10"}).json()
    seen = [row["id"] for row in page["value"]]
    tenant.directory.remove(seen[0])
    while link := page.get("@odata.nextLink"):
        page = graph.get(link).json()
        seen += [row["id"] for row in page["value"]]
    assert sorted(seen[1:]) == sorted(tenant.directory.people)


def test_empty_page(graph: Any, tenant: Tenant) -> None:
    """A quirk makes the first page empty: only a missing link ends a listing."""
    tenant.quirks.empty_first_page = True
    page = graph.advanced(select="id", top="50").json()
    assert page["value"] == []
    assert page["@odata.count"] == 60
    seen = []
    while link := page.get("@odata.nextLink"):
        page = graph.get(link, headers={"ConsistencyLevel": "eventual"}).json()
        seen += [row["id"] for row in page["value"]]
    assert seen == list(tenant.directory.people)


def test_page_links_expire(graph: Any, tenant: Tenant) -> None:
    """An expired link is answered with its own error code."""
    link = graph.read("/users", params={"$top": "5"}).json()["@odata.nextLink"]
    tenant.graph.users.expire_pages()
    assert code(graph.get(link)) == "Directory_ExpiredPageToken"


def test_page_link_belongs_to_its_query(graph: Any) -> None:
    """A token taken out of the link and used with another query is refused."""
    link = graph.read("/users", params={"$top": "5"}).json()["@odata.nextLink"]
    token = dict(parse_qsl(urlsplit(link).query))["$skiptoken"]
    answer = graph.read("/users", params={"$top": "6", "$skiptoken": token})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "kind",
    [
        "apostrophe",
        "hash",
        "ampersand",
        "plus",
        "percent",
        "letters",
        "upper case",
        "long name",
        "licensed guest",
    ],
)
def test_user_by_name(graph: Any, tenant: Tenant, kind: str) -> None:
    """A percent-encoded user principal name of any letters finds its user, in any case."""
    person = tenant.directory.people[graph.person(kind)]
    for name in (person.upn, person.upn.upper()):
        answer = graph.batch([f"/users/{quote(name, safe='')}?$select=id"])
        assert [item["body"].get("id") for item in answer.values()] == [person.id]


@pytest.mark.parametrize("path", ["/users/nobody@contoso.com", "/groups/nothing"])
def test_unknown_directory_object(graph: Any, path: str) -> None:
    """An unknown user or group is Request_ResourceNotFound."""
    answer = graph.read(path)
    assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")


def test_mail_is_no_user_name(graph: Any, tenant: Tenant) -> None:
    """A user is not found by an address that is not their user principal name."""
    person = tenant.directory.people[graph.person("licensed guest")]
    assert graph.read(f"/users/{person.mail}").status_code == 404


@pytest.mark.parametrize(
    ("roles", "path", "status"),
    [
        (set(), "/users", 403),
        ({"ProfilePhoto.Read.All"}, "/users", 403),
        ({"User.ReadBasic.All"}, "/users?$select=id,userPrincipalName", 200),
        ({"User.ReadBasic.All"}, "/users?$select=id,accountEnabled", 403),
        ({"User.ReadBasic.All"}, "/users?$filter=accountEnabled eq true&$select=id", 403),
        ({"User.Read.All"}, "/users?$select=id,assignedPlans", 200),
        ({"Directory.Read.All"}, "/users?$select=id,assignedPlans", 200),
        ({"User.Read.All"}, "/groups/GROUP/transitiveMembers", 403),
        ({"GroupMember.Read.All"}, "/groups/GROUP/transitiveMembers", 200),
        ({"User.Read.All"}, "/servicePrincipals/x/appRoleAssignments", 403),
        ({"User.Read.All"}, "/sites/root", 403),
        ({"Sites.Read.All"}, "/sites/root", 200),
    ],
)
def test_roles(graph: Any, tenant: Tenant, roles: set[str], path: str, status: int) -> None:
    """Each call needs a role of its own."""
    tenant.roles["graph"] = roles
    graph.renew()
    answer = graph.read(path.replace("GROUP", tenant.group_id))
    assert answer.status_code == status, answer.text[:300]
    if status == 403:
        assert code(answer) == "Authorization_RequestDenied"


def test_group_members_of_members(graph: Any, tenant: Tenant) -> None:
    """Transitive members are the people of the group and of groups in it, each once."""
    inner = "6f1c6b0e-0000-4000-8000-000000000001"
    people = list(tenant.directory.people)
    tenant.directory.groups[inner] = set(people[:3])
    tenant.directory.groups[tenant.group_id] = {inner, people[2], people[5]}
    path = f"/groups/{tenant.group_id}/transitiveMembers/microsoft.graph.user"
    headers = {"ConsistencyLevel": "eventual"}
    params = {"$count": "true", "$select": "id", "$top": "3"}
    page = graph.read(path, params=params, headers=headers).json()
    rest = graph.get(page["@odata.nextLink"], headers=headers).json()
    found = [row["id"] for row in page["value"] + rest["value"]]
    assert page["@odata.count"] == 4
    assert sorted(found) == sorted({*people[:3], people[5]})
    assert code(graph.read(path)) == "Request_UnsupportedQuery"


def test_role_assignments(graph: Any, tenant: Tenant) -> None:
    """The app's assignments name resource and role; the two User.Read.All differ by resource."""
    tenant.roles["graph"] = {"Application.Read.All", "User.Read.All"}
    graph.renew()
    mine = f"(appId='{tenant.user_identity.client_id}')"
    principal = graph.read(f"/servicePrincipals{mine}").json()
    assert principal["id"] == tenant.user_identity.object_id
    found = graph.read(f"/servicePrincipals/{principal['id']}/appRoleAssignments").json()["value"]
    resource = graph.read(
        "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')?$select=id,appRoles"
    ).json()
    names = {role["id"]: role["value"] for role in resource["appRoles"]}
    granted = {names[one["appRoleId"]] for one in found if one["resourceId"] == resource["id"]}
    assert granted == tenant.roles["graph"]
    assert len(found) == len(tenant.roles["graph"]) + len(tenant.roles["sharepoint"])
