"""The host ends when its storage has refused for half a minute, and not before."""

import socket
from collections.abc import Callable

import pytest

from local.host.storage_watch import accepts_connections, storage_url, watch
from local.support.clock import VirtualClock

_CONNECTION = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a"
)


class EndOfTest(Exception):
    """Time that the host outlived."""


def ends_after(reachable: Callable[[float], bool]) -> float:
    """Seconds until the host ends; storage can be reached at these moments."""
    clock = VirtualClock(0)

    def answers() -> bool:
        if clock.monotonic() > 600:
            raise EndOfTest
        return reachable(clock.monotonic())

    watch(answers, clock=clock.monotonic, sleep=clock.sleep)
    return clock.monotonic()


def test_half_a_minute_without_storage_ends_the_host() -> None:
    """Counted from the last time that it could be reached."""
    assert 128 <= ends_after(lambda second: second < 100) <= 132


def test_an_outage_of_26_seconds_leaves_no_trace() -> None:
    """However often it happens."""
    with pytest.raises(EndOfTest):
        ends_after(lambda second: second % 100 > 26)


def test_a_port_is_reachable_while_somebody_listens() -> None:
    """A closed one is not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/account"
        assert accepts_connections(url)
    assert not accepts_connections(url)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, None),
        ({"AzureWebJobsStorage": _CONNECTION}, "http://127.0.0.1:1/a"),
        (
            {"AzureWebJobsStorage": "AccountName=a;AccountKey=k==;EndpointSuffix=core.x"},
            "https://a.blob.core.x",
        ),
        ({"AzureWebJobsStorage__blobServiceUri": "https://a.b"}, "https://a.b"),
        ({"AzureWebJobsStorage__accountName": "a"}, "https://a.blob.core.windows.net"),
    ],
)
def test_storage_is_found_in_every_form_of_the_setting(
    settings: dict[str, str], url: str | None
) -> None:
    """Connection string, service URI, account name, or none at all."""
    assert storage_url(settings) == url
