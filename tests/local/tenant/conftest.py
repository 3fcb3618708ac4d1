"""Tenants and plain HTTP clients for tests of the emulation; each test has its own ports."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from local.tenant import Tenant

TIMEOUT = 10


class GraphClient(requests.Session):
    """A session that knows Graph's root and carries a token; `person` finds people by kind."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self.tenant = tenant
        self.root = f"{tenant.url('graph')}/v1.0"
        self.renew()

    def renew(self) -> None:
        """Take a new token, with the roles granted now."""
        user = self.tenant.user_identity
        token = self.tenant.tokens.mint(self.tenant.url("graph"), user.client_id, user.object_id)
        self.headers["Authorization"] = f"Bearer {token}"

    def read(self, path: str, **options: Any) -> requests.Response:
        """GET below the version root."""
        return self.get(f"{self.root}{path}", timeout=TIMEOUT, **options)

    def advanced(self, **options: str) -> requests.Response:
        """List users as an advanced query; `filter_="…"` is `$filter`."""
        params = {f"${name.rstrip('_')}": value for name, value in options.items()}
        headers = {"ConsistencyLevel": "eventual"}
        return self.read("/users", params={"$count": "true"} | params, headers=headers)

    def batch(self, urls: list[str]) -> dict[str, dict[str, Any]]:
        """Answers of a batch by URL."""
        answer = self.envelope(
            [{"id": str(n), "method": "GET", "url": url} for n, url in enumerate(urls)]
        )
        assert answer.status_code == 200, answer.text
        return {urls[int(item["id"])]: item for item in answer.json()["responses"]}

    def envelope(self, items: Any) -> requests.Response:
        """The answer to a batch of these items."""
        return self.post(f"{self.root}/$batch", json={"requests": items}, timeout=TIMEOUT)

    def person(self, kind: str) -> str:
        """Object id of the first person of a kind."""
        people = self.tenant.directory.people.values()
        return next(person.id for person in people if person.kind == kind)


@pytest.fixture
def make_tenant() -> Iterator[Callable[..., Tenant]]:
    """Start tenants that end with the test."""
    started: list[Tenant] = []

    def make(**options: Any) -> Tenant:
        tenant = Tenant(**options).start()
        started.append(tenant)
        return tenant

    yield make
    for tenant in started:
        tenant.stop()


@pytest.fixture
def tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    """A mixed tenant with people of every kind."""
    return make_tenant(users=60)


@pytest.fixture
def graph(tenant: Tenant) -> Iterator[GraphClient]:
    """A plain client of that tenant's Graph."""
    with GraphClient(tenant) as client:
        yield client


@pytest.fixture
def connect() -> Iterator[Callable[[Tenant], GraphClient]]:
    """Plain clients of other tenants."""
    clients: list[GraphClient] = []

    def make(tenant: Tenant) -> GraphClient:
        clients.append(GraphClient(tenant))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def token(tenant: Tenant) -> Callable[[str], requests.Response]:
    """Ask the managed-identity endpoint for a token of a resource."""

    def ask(resource: str, **more: str) -> requests.Response:
        settings = tenant.settings()
        return requests.get(
            settings["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": resource} | more,
            headers={"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]},
            timeout=TIMEOUT,
        )

    return ask
