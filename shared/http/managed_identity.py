"""Tokens of the managed identity, for this tenant or, as federated credential, for another one.

Sources: Azure App Service docs, "How to use managed identities" (the local token endpoint);
Microsoft Entra docs, "Configure an application to trust a managed identity".
"""

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from shared.clock import Clock
from shared.config import parsers
from shared.config.settings import Settings
from shared.errors import TokenUnavailable
from shared.http.response import HIDDEN, without_tokens

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

# azure-identity and msal are slow to import, so they are imported where they are first needed.

# At INFO these log every request; not "azure" as a whole, the Functions worker logs below it.
for _name in ("azure.core", "azure.storage", "msal", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# Logs every failed attempt twice with the raw answer; TokenUnavailable says it once, cleaned.
logging.getLogger("azure.identity").setLevel(logging.CRITICAL)

_SCOPE_SUFFIX = "/.default"
_STORAGE = "https://storage.azure.com"
_EARLY_SECONDS = 300  # no request may carry a token that ends while it is on its way
_PAUSES = (1.0, 2.0)  # seconds before the second and third attempt
# The endpoint is on this machine; and a caller is waiting for an answer within a minute.
_CONNECT_SECONDS, _READ_SECONDS = 3, 6
_LONGEST_REASON = 300
_LIBRARY_LEAD_IN = "Token request error: "


class _Token(NamedTuple):
    """A bearer token; `expires_on` in seconds since the epoch of the real clock."""

    text: str
    expires_on: float


class _Kept(NamedTuple):
    """A token in the cache; `until` in seconds of the program's monotonic clock."""

    token: _Token
    until: float


class _Failure(NamedTuple):
    """Why there was no token; `at` in monotonic seconds."""

    message: str
    at: float


class _Key(NamedTuple):
    """What a token is for; storage stays in the identity's own tenant."""

    resource: str
    storage: bool = False


class ManagedIdentity:
    """Gives tokens of one managed identity and keeps them until shortly before they end.

    Every request for a token is made with fresh objects of azure-identity and msal: theirs keep
    the platform's IDENTITY_HEADER, which is rotated, and replay failed answers from memory; the
    cache that counts is the one here. Thread-safe: one thread asks while the others wait.

    Args:
        settings: who asks (own or target tenant) and the storage connection.
        session: for the login authority of another tenant; its trust settings count.
        clock: `time` or a test's clock.
    """

    def __init__(
        self, settings: Settings, *, session: requests.Session | None = None, clock: Clock = time
    ) -> None:
        self._settings = settings
        self._session = session or requests.Session()
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[_Key, _Kept] = {}
        self._failures: dict[_Key, _Failure] = {}

    def token(self, resource: str) -> str:
        """A bearer token for a service.

        Args:
            resource: the service's origin, such as `https://contoso-my.sharepoint.com`.

        Raises:
            ValueError: no https (or loopback) origin.
            TokenUnavailable: names identity, resource and remedy.
        """
        return self._cached(_Key(_checked(resource))).text

    def forget(self, resource: str) -> None:
        """Drop the token for a resource, after it was refused: the next one is asked for anew.

        The platform has a cache of its own, of about a day, that no caller can pass.
        """
        with self._lock:
            self._tokens.pop(_Key(_checked(resource)), None)

    def claims(self, resource: str) -> dict[str, Any]:
        """What the token for a resource says (`roles`, `appid`, `oid`, `exp`), for diagnosis only.

        Nothing is verified; an unreadable token has no claims.

        Raises:
            ValueError: no https (or loopback) origin.
            TokenUnavailable: as `token`.
        """
        token = self.token(resource)
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (IndexError, ValueError):
            return {}
        return claims if isinstance(claims, dict) else {}

    def storage_credential(self) -> "TokenCredential":
        """Credential for the checkpoint's blobs: the identity that the storage connection names.

        Its `get_token` raises TokenUnavailable.
        """
        return _StorageCredential(lambda: self._cached(_Key(_STORAGE, storage=True)))

    def _cached(self, key: _Key) -> _Token:
        if fresh := self._fresh(key):
            return fresh
        came = self._clock.monotonic()
        with self._lock:
            # Another thread may have asked while this one waited: its answer, good or bad, counts.
            if fresh := self._fresh(key):
                return fresh
            failure = self._failures.get(key)
            if failure and failure.at > came:
                raise TokenUnavailable(failure.message)
            try:
                token = self._ask(key)
            except TokenUnavailable as error:
                self._failures[key] = _Failure(str(error), self._clock.monotonic())
                raise
            # What is left of its life is a matter of real time, as the issuer sees it; from now
            # on it ages with the program's clock.
            left = token.expires_on - time.time() - _EARLY_SECONDS
            self._tokens[key] = _Kept(token, self._clock.monotonic() + left)
            return token

    def _fresh(self, key: _Key) -> _Token | None:
        kept = self._tokens.get(key)
        return kept.token if kept and self._clock.monotonic() < kept.until else None

    def _ask(self, key: _Key) -> _Token:
        settings = self._settings
        if key.storage:
            return self._home(key.resource, settings.checkpoint.client_id)
        if not settings.target_tenant_id:
            return self._home(key.resource, settings.managed_identity_client_id)
        proof = self._home(settings.federated_audience, settings.managed_identity_client_id)
        return self._try(
            lambda: self._exchange(key.resource, proof),
            f"{key.resource} as application {settings.target_client_id} in tenant "
            f"{settings.target_tenant_id}",
            "Check the application's federated credential (issuer, subject, audience "
            f"{settings.federated_audience}) and its consent in that tenant",
        )

    def _home(self, resource: str, client_id: str | None) -> _Token:
        """A token in the identity's own tenant."""
        who = (
            f"user-assigned managed identity {client_id}"
            if client_id
            else ("the system-assigned managed identity")
        )
        remedy = (
            "Check that this identity is assigned to the function app and that "
            "MANAGED_IDENTITY_CLIENT_ID is the client id of a user-assigned one"
        )
        # App Service sets both variables exactly when the app has an identity. Without them the
        # library would search for other sources of identities, for a minute and in vain.
        if not (os.environ.get("IDENTITY_ENDPOINT") and os.environ.get("IDENTITY_HEADER")):
            raise TokenUnavailable(
                f"no token for {resource} as {who}: IDENTITY_ENDPOINT is not set, so this app has "
                f"no identity. {remedy}"
            )
        return self._try(lambda: _ask_platform(resource, client_id), f"{resource} as {who}", remedy)

    def _try(self, ask: Callable[[], _Token], what: str, remedy: str) -> _Token:
        """Ask up to three times: the platform's answers do not say whether asking again helps."""
        for pause in (*_PAUSES, None):
            try:
                return ask()
            except Exception as error:  # noqa: BLE001 -- both libraries leak whatever they trip over
                reason = _safe(error)
            if pause is not None:
                self._clock.sleep(pause)
        raise TokenUnavailable(f"no token for {what}: {reason}. {remedy}")

    def _exchange(self, resource: str, proof: _Token) -> _Token:
        """The managed identity's token for one of the target tenant."""
        import msal  # noqa: PLC0415 -- slow

        app = msal.ConfidentialClientApplication(
            self._settings.target_client_id,
            authority=f"{self._settings.login_url}/{self._settings.target_tenant_id}",
            client_credential={"client_assertion": lambda: proof.text},
            instance_discovery=False,
            http_client=_BoundedClient(self._session),
        )
        asked = time.time()
        answer = app.acquire_token_for_client(scopes=[resource + _SCOPE_SUFFIX])
        if "access_token" not in answer:
            raise RuntimeError(answer.get("error_description") or answer.get("error"))
        return _Token(answer["access_token"], asked + float(answer["expires_in"]))


class _BoundedClient:
    """The session as msal uses it, with time-outs and without redirects, which would leak."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session or requests.Session()

    def get(self, url: str, **arguments: Any) -> requests.Response:
        return self._send("GET", url, arguments)

    def post(self, url: str, **arguments: Any) -> requests.Response:
        return self._send("POST", url, arguments)

    def _send(self, method: str, url: str, arguments: dict[str, Any]) -> requests.Response:
        return self._session.request(
            method,
            url,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            allow_redirects=False,
            verify=self._session.verify,  # said here, or REQUESTS_CA_BUNDLE would win over it
            **arguments,
        )


class _StorageCredential:
    """azure-core's credential protocol over the identity's cache."""

    def __init__(self, token: Callable[[], _Token]) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> "AccessToken":
        """A token for Azure Storage, whatever scope an answer of the account asks for."""
        from azure.core.credentials import AccessToken  # noqa: PLC0415 -- slow

        token = self._token()
        return AccessToken(token.text, int(token.expires_on))


def _ask_platform(resource: str, client_id: str | None) -> _Token:
    """One request to the platform's token endpoint, through azure-identity."""
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415 -- slow

    with ManagedIdentityCredential(
        client_id=client_id,
        retry_total=0,
        connection_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
    ) as credential:
        return _Token(*credential.get_token(resource + _SCOPE_SUFFIX)[:2])


def _checked(resource: str) -> str:
    """The origin in normal form: a token must never go, or be asked, for plain http."""
    try:
        return parsers.origin(resource)
    except ValueError:
        raise ValueError(f"no https origin to ask a token for: {resource!r}") from None


def _safe(error: Exception) -> str:
    """An error's reason in one line, without tokens, the platform's secret or its long tail."""
    text = " ".join(str(error).rpartition(_LIBRARY_LEAD_IN)[2].split()) or type(error).__name__
    text = text.replace(os.environ.get("IDENTITY_HEADER") or "\0", HIDDEN)
    return without_tokens(text)[:_LONGEST_REASON].rstrip(". ")
