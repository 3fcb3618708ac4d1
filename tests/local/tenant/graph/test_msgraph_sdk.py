"""Microsoft's own Graph client reads users and photos from the emulated tenant."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from azure.identity.aio import ManagedIdentityCredential
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph_core import GraphClientFactory
from PIL import Image

from local.tenant import Tenant

# The SDK warns of its own deprecated classes as its modules are imported, which it puts off until
# a property is used: hence the filter, and the imports of msgraph inside functions.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SCOPE = (
    "accountEnabled eq true and userType eq 'Member' and"
    " assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')"
)


@pytest.fixture
def run(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """Run a coroutine with an SDK client whose token comes from the identity endpoint."""
    for name, value in tenant.settings().items():
        if name.startswith("IDENTITY"):
            monkeypatch.setenv(name, value)
    from msgraph import GraphRequestAdapter, GraphServiceClient

    root = tenant.url("graph")

    def runner(work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            async with ManagedIdentityCredential() as credential:
                provider = AzureIdentityAuthenticationProvider(
                    credential,
                    scopes=[f"{root}/.default"],
                    allowed_hosts=[urlsplit(root).hostname],
                )
                # The SDK's middleware never closes the pool beneath it: keep no connection there.
                http = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
                http = GraphClientFactory.create_with_default_middleware(client=http)
                adapter = GraphRequestAdapter(provider, client=http)
                adapter.base_url = f"{root}/v1.0"
                return await work(GraphServiceClient(request_adapter=adapter))

        return asyncio.run(whole())

    return runner


def advanced(**query: Any) -> Any:
    from msgraph.generated.users.users_request_builder import UsersRequestBuilder

    parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(count=True, **query)
    configuration = RequestConfiguration(query_parameters=parameters)
    configuration.headers.add("ConsistencyLevel", "eventual")
    return configuration


def test_pages_with_an_advanced_filter(tenant: Tenant, run: Any) -> None:
    """The SDK lists who is in scope over several pages, following the links."""

    async def work(client: Any) -> list[Any]:
        configuration = advanced(select=["id", "userPrincipalName"], filter=SCOPE, top=10)
        page = await client.users.get(request_configuration=configuration)
        found = list(page.value)
        assert page.odata_count > 10
        while page.odata_next_link:
            page = await client.users.with_url(page.odata_next_link).get(
                request_configuration=advanced()
            )
            found += page.value
        return found

    found = run(work)
    assert len(found) == len({user.id for user in found})
    people = tenant.directory.people
    assert {user.id: user.user_principal_name for user in found}.items() <= {
        person.id: person.upn for person in people.values()
    }.items()
    assert tenant.tape.count(operation="users.list") == -(-len(found) // 10)


def test_one_user(tenant: Tenant, run: Any) -> None:
    """The SDK addresses a user by a name with letters that need encoding."""
    person = next(p for p in tenant.directory.people.values() if p.kind == "licensed guest")

    async def work(client: Any) -> Any:
        return await client.users.by_user_id(person.upn).get()

    assert run(work).id == person.id


def test_photo(tenant: Tenant, run: Any) -> None:
    """The SDK reads metadata, a size, and the bytes of a photo."""
    person = next(p for p in tenant.directory.people.values() if p.kind == "4 MB photo")

    async def work(client: Any) -> Any:
        user = client.users.by_user_id(person.id)
        return (
            await user.photo.get(),
            await user.photo.content.get(),
            await user.photos.by_profile_photo_id("648x648").content.get(),
        )

    metadata, whole, sized = run(work)
    assert person.photo is not None
    assert (metadata.width, metadata.height) == (2400, 1800)
    assert metadata.additional_data["@odata.mediaEtag"] == person.photo.etag
    assert whole == person.photo.data
    assert Image.open(io.BytesIO(sized)).size == (648, 486)


def test_no_photo(tenant: Tenant, run: Any) -> None:
    """No photo is an error that the SDK understands, with code and request id."""
    person = next(p for p in tenant.directory.people.values() if p.photo is None)

    async def work(client: Any) -> Any:
        return await client.users.by_user_id(person.id).photo.get()

    with pytest.raises(APIError) as caught:
        run(work)
    assert caught.value.response_status_code == 404
    error = caught.value.error
    assert error.code == "ImageNotFound"
    assert error.inner_error.request_id
