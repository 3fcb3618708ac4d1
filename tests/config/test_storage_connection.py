import pytest
from azure.storage.blob import BlobServiceClient

from shared.config.storage_connection import StorageConnection, resolve

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
KEY = "DefaultEndpointsProtocol=https;AccountName=abc;AccountKey=c2VjcmV0"
SAS = "BlobEndpoint=https://abc.blob.core.windows.net;SharedAccessSignature=sv=1&sig=c2VjcmV0"


def resolved(
    environ: dict[str, str], name: str = "AzureWebJobsStorage", default: str | None = None
) -> StorageConnection:
    problems: list[str] = []
    connection = resolve(environ, name, "blob.core.windows.net", default, problems)
    assert problems == []
    return connection


def problems_of(environ: dict[str, str], name: str = "Store") -> list[str]:
    problems: list[str] = []
    resolve(environ, name, "blob.core.windows.net", None, problems)
    return problems


@pytest.mark.parametrize("text", [KEY, KEY + ";", SAS, "UseDevelopmentStorage=true"])
def test_connection_string(text: str) -> None:
    """A connection string is taken as it is, opens a client, and never shows in a repr."""
    connection = resolved({"AzureWebJobsStorage": text})

    assert connection == StorageConnection(text, None, identity=False, client_id=None)
    assert "c2VjcmV0" not in repr(connection)
    BlobServiceClient.from_connection_string(text).close()


@pytest.mark.parametrize(
    ("environ", "name", "url"),
    [
        (
            {"AzureWebJobsStorage__accountName": "abc"},
            "AzureWebJobsStorage",
            "https://abc.blob.core.windows.net",
        ),
        (
            {"Store__blobServiceUri": "https://abc.blob.core.windows.net/"},
            "Store",
            "https://abc.blob.core.windows.net",
        ),
        (
            {"Store__serviceUri": "https://127.0.0.1:10000/devstoreaccount1"},
            "Store",
            "https://127.0.0.1:10000/devstoreaccount1",
        ),
        (
            {"AzureWebJobsStore__accountName": "first", "Store__accountName": "second"},
            "Store",
            "https://first.blob.core.windows.net",
        ),
        (
            {"Store__accountName": "abc", "Store__blobServiceUri": "https://custom.example"},
            "Store",
            "https://custom.example",
        ),
        (
            {"STORE__ACCOUNTNAME": "abc", "Store__credential": "ManagedIdentity", "Store": " "},
            "Store",
            "https://abc.blob.core.windows.net",
        ),
    ],
)
def test_identity_based(environ: dict[str, str], name: str, url: str) -> None:
    """Account name or service URI, with the host's prefix or without, in any case."""
    assert resolved(environ, name) == StorageConnection(None, url, identity=True, client_id=None)


def test_connection_string_wins() -> None:
    """As in the host, a connection string wins over the identity-based form."""
    connection = resolved({"Store": KEY, "Store__accountName": "abc"}, "Store")

    assert (connection.connection_string, connection.identity) == (KEY, False)


def test_which_identity() -> None:
    """The connection's own identity first, else the program's, else the system-assigned one."""
    own = {"Store__accountName": "abc", "Store__clientId": GUID.upper()}

    assert resolved(own, "Store", OTHER).client_id == GUID
    assert resolved({"Store__accountName": "abc"}, "Store", OTHER).client_id == OTHER
    assert resolved({"Store__accountName": "abc"}, "Store").client_id is None


@pytest.mark.parametrize(
    ("environ", "starts"),
    [
        ({}, ["Store: no such"]),
        ({"Storex__accountName": "abc"}, ["Store: no such"]),
        ({"Store": "AccountName=abc"}, ["Store: not a storage connection string"]),
        ({"Store": KEY + ";broken"}, ["Store: not a storage connection string"]),
        ({"Store": "UseDevelopmentStorage=yes"}, ["Store: not a storage connection string"]),
        ({"Store__clientId": GUID}, ["Store__accountName or Store__blobServiceUri: missing"]),
        ({"Store__accountName": "A_B"}, ["Store__accountName: accepted"]),
        ({"Store__blobServiceUri": "http://abc.example"}, ["Store__blobServiceUri: accepted"]),
        ({"Store__blobServiceUri": "https://abc.example/x"}, ["Store__blobServiceUri: accepted"]),
        (
            {"Store__serviceUri": "https://a.example/?sig=c2VjcmV0"},
            ["Store__serviceUri: accepted"],
        ),
        (
            {"Store__accountName": "abc", "Store__clientId": "me", "Store__credential": "key"},
            ["Store__credential: accepted: managedidentity", "Store__clientId: accepted"],
        ),
        (
            {"Store__accountName": "abc", "Store__clientSecret": "c2VjcmV0"},
            ["Store__clientSecret: not supported"],
        ),
        (
            {"Store__accountName": "abc", "Store__managedIdentityResourceId": "/x"},
            ["Store__managedIdentityResourceId: not supported"],
        ),
    ],
)
def test_refused(environ: dict[str, str], starts: list[str]) -> None:
    """Every problem names its part of the connection; nothing that may be secret is shown."""
    problems = problems_of(environ)

    assert [p[: len(s)] for p, s in zip(problems, starts, strict=True)] == starts
    assert "c2VjcmV0" not in "".join(problems)
