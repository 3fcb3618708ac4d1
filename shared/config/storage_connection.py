"""Which storage account holds the checkpoint: a named connection, as the Functions host reads it.

Source: Azure Functions docs, "Develop functions: connections" and "Identity-based connections".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.config import parsers

_PREFIX = "AzureWebJobs"
# Forms of identity the host knows and this program does not: said so instead of ignored.
_UNSUPPORTED = ("clientSecret", "tenantId", "managedIdentityResourceId")


@dataclass(frozen=True)
class StorageConnection:
    """How to open the storage account of the checkpoint.

    Attributes:
        connection_string: secret, never shown; None when the identity is used.
        account_url: blob service URL; None with a connection string.
        identity: whether the managed identity opens the account.
        client_id: client id of a user-assigned identity; None: the system-assigned one.
    """

    connection_string: str | None = field(repr=False)
    account_url: str | None
    identity: bool
    client_id: str | None


def resolve(
    environ: Mapping[str, str],
    name: str,
    blob_suffix: str,
    default_client_id: str | None,
    problems: list[str],
) -> StorageConnection:
    """The connection called `AzureWebJobs<name>` or, when there is none, `<name>`.

    A connection string wins over the identity-based form; names are not case-sensitive.

    Args:
        environ: application settings.
        name: value of CHECKPOINT_CONNECTION.
        blob_suffix: completes `__accountName`, for example `blob.core.windows.net`.
        default_client_id: identity used when the connection names none.
        problems: what is wrong is added here, without any secret; the result is then unusable.
    """
    settings = {key.lower(): value.strip() for key, value in environ.items() if value.strip()}
    for section in (_PREFIX + name, name):
        if text := settings.get(section.lower()):
            return _by_string(section, text, problems)
        prefix = f"{section}__".lower()
        parts = {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
        if parts:
            return _by_identity(section, parts, blob_suffix, default_client_id, problems)
    problems.append(
        f"{name}: no such storage connection; accepted: a connection string in {name}, or "
        f"{name}__accountName or {name}__blobServiceUri for the managed identity"
    )
    return StorageConnection(None, None, identity=False, client_id=None)


def _by_string(section: str, text: str, problems: list[str]) -> StorageConnection:
    pairs = [part.partition("=") for part in text.rstrip(";").split(";")]
    keys = {key.lower(): value for key, _, value in pairs}
    usable = (
        keys.get("usedevelopmentstorage") == "true"
        or {"accountname", "accountkey"} <= keys.keys()
        or {"blobendpoint", "sharedaccesssignature"} <= keys.keys()
    )
    if not usable or not all(value for _, _, value in pairs):
        problems.append(
            f"{section}: not a storage connection string (not shown, it may hold a secret); "
            "accepted: UseDevelopmentStorage=true, or name=value pairs separated by ; with "
            "AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature"
        )
    return StorageConnection(text, None, identity=False, client_id=None)


def _by_identity(
    section: str,
    parts: Mapping[str, str],
    blob_suffix: str,
    default_client_id: str | None,
    problems: list[str],
) -> StorageConnection:
    problems += [
        f"{section}__{name}: not supported; the checkpoint is opened with the managed identity, "
        f"a user-assigned one by {section}__clientId"
        for name in _UNSUPPORTED
        if name.lower() in parts
    ]

    def read(name: str, parse: Callable[[str], str], accepted: str) -> str | None:
        text = parts.get(name.lower())
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError:
            # Not shown: a URL may carry a shared access signature.
            problems.append(f"{section}__{name}: accepted: {accepted}")
            return None

    read("credential", parsers.one_of({"managedidentity"}), "managedidentity, or absent")
    client_id = read("clientId", parsers.guid, "a GUID")
    url = "an https URL such as https://account.blob.core.windows.net, without query"
    uri = read("blobServiceUri", parsers.service_url, url)
    uri = read("serviceUri", parsers.service_url, url) if uri is None else uri
    account = read("accountName", parsers.storage_account, "3 to 24 lower-case letters and digits")
    if not parts.keys() & {"blobserviceuri", "serviceuri", "accountname"}:
        problems.append(f"{section}__accountName or {section}__blobServiceUri: missing")
    return StorageConnection(
        None,
        uri or f"https://{account}.{blob_suffix}",
        identity=True,
        client_id=client_id or default_client_id,
    )
