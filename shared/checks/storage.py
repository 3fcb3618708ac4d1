"""Whether the checkpoint's container can be read and written, and if not, why."""

from collections.abc import Iterator
from typing import NamedTuple

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from shared.app import App
from shared.checkpoint import Run
from shared.checks.check import CHECK_SECONDS, Check, bad, good
from shared.config import Settings
from shared.errors import PhotoSyncError, TokenUnavailable
from shared.log import InvocationLog

NAME = "storage"
_MANUAL = "see docs/reference.md, storage"
_ROLE = "Storage Blob Data Owner"
_ACCOUNT_CODES = frozenset({"AccountIsDisabled", "AccountNotFound"})
_ACCESS_CODES = frozenset(
    {
        "AuthenticationFailed",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "AuthorizationProtocolMismatch",
        "AuthorizationSourceIPMismatch",
        "InsufficientAccountPermissions",
        "InvalidAuthenticationInfo",
        "403",
    }
)
"""Source: Azure Storage docs, "Common REST API error codes"; Azurite says AuthorizationFailure for
a wrong key."""


class Found(NamedTuple):
    """What storage holds: the last or current run, and whether it can be used."""

    run: Run | None
    check: Check


def check(app: App, log: InvocationLog) -> Found:
    """Read the run and try to write, without writing anything."""
    checkpoint = app.checkpoint(log=log, deadline=app.clock.monotonic() + CHECK_SECONDS)
    try:
        checkpoint.prepare()
        run = checkpoint.run()
        checkpoint.probe()
    except PhotoSyncError as error:
        return Found(None, bad(NAME, *_cause(error, app.settings)))
    except (AzureError, ValueError) as error:
        # The library refuses a key or URL that it cannot even sign with.
        where = _where(app.settings)
        reason = f"{where} cannot be opened with these settings ({type(error).__name__})"
        return Found(None, bad(NAME, reason, _MANUAL))
    return Found(run, good(NAME, "the container can be read and written"))


def _where(settings: Settings) -> str:
    name = settings.checkpoint_connection
    url = settings.checkpoint.account_url
    return f"blob storage at {url} ({name})" if url else f"blob storage of the connection {name}"


def _cause(error: Exception, settings: Settings) -> tuple[str, str]:
    """What is wrong and what to do, by the first error of the storage library."""
    where, name = _where(settings), settings.checkpoint_connection
    for found in _chain(error):
        if isinstance(found, TokenUnavailable):
            return (
                f"{where} cannot be opened, because the app's identity gives no token: {found}",
                "see docs/reference.md, tokens",
            )
        if isinstance(found, HttpResponseError):
            return _refusal(found, where, name, settings)
        if isinstance(found, (ServiceRequestError, ServiceResponseError)):
            return _silence(found, where, name)
    return str(error), _MANUAL


def _refusal(
    error: HttpResponseError, where: str, name: str, settings: Settings
) -> tuple[str, str]:
    code = getattr(error, "error_code", None) or error.status_code
    code = str(getattr(code, "value", code))
    secret = settings.checkpoint.connection_string or ""
    if code == "KeyBasedAuthenticationNotPermitted":
        return (
            f"{where} accepts no keys ({code})",
            f"use the identity: set {name}__accountName instead of {name}, and grant the role "
            f"{_ROLE}",
        )
    if code in _ACCOUNT_CODES:
        return f"{where} is not there or disabled ({code})", f"check the account in {name}"
    if code not in _ACCESS_CODES:
        return f"{where} answers {error.status_code} {code}", _MANUAL
    if settings.checkpoint.identity:
        return (
            f"{where} does not let the app's identity read and write blobs ({code})",
            f"grant the identity the role {_ROLE} on the storage account, and allow the app's "
            "network in the firewall of the account",
        )
    if "accountkey=" in secret.lower():
        return (
            f"{where} refuses the account key in the connection string, or the app's network "
            f"({code})",
            f"put the current connection string of the storage account into {name}, and allow the "
            "app's network in the firewall of the account",
        )
    return (
        f"{where} does not let this connection string read and write blobs ({code}); an identity "
        f"needs the role {_ROLE}",
        f"put a connection string with all permissions into {name}, or use the identity",
    )


def _silence(error: AzureError, where: str, name: str) -> tuple[str, str]:
    text = str(error)
    if "resolve" in text or "Name or service not known" in text:
        return f"the host name of {where} is unknown", f"check the name of the account in {name}"
    if "refused" in text:
        return (
            f"nothing answers for {where}: the connection is refused",
            f"start the storage emulator, or check the address in {name}",
        )
    return (
        f"{where} does not answer",
        "check the firewall and the network of the storage account, then check again",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
