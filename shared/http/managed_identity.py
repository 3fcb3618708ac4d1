"""Tokens of the managed identity, for this tenant or, as federated credential, for another one."""

import base64
import json
import math
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from shared.clock import Clock
from shared.config import Settings, origin
from shared.errors import DeadlineExceeded, TokenUnavailable
from shared.http.connections import mount
from shared.http.token_requests import Token, exchanged_token, platform_token, reason_of

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

_STORAGE = "https://storage.azure.com"
_EARLY_SECONDS = 300  # before its end a token is renewed
_LAST_SECONDS = 60  # no request may carry a token that ends while it is on its way
_POSTPONED_SECONDS = 30  # until a renewal that failed is tried again
_PAUSES = (1.0, 2.0)  # seconds before the second and third attempt


class _Kept(NamedTuple):
    """A token in the cache; moments in seconds of the program's monotonic clock.

    Attributes:
        token: the token.
        renew_at: from then on a new one is asked for.
        ends_at: from then on this one is not sent any more.
    """

    token: Token
    renew_at: float
    ends_at: float


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

    Thread-safe: for each resource one thread asks while the others wait, or go on with the token
    that is about to end. A renewal that fails costs nothing while that token lasts.

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
        mount(self._session)
        self._clock = clock
        self._lock = threading.Lock()  # of the three below; never held while asking
        self._asking: dict[_Key, threading.Lock] = {}
        self._tokens: dict[_Key, _Kept] = {}
        self._failures: dict[_Key, _Failure] = {}

    def token(self, resource: str, deadline: float = math.inf) -> str:
        """A bearer token for a service.

        Args:
            resource: the service's origin, such as `https://contoso-my.sharepoint.com`.
            deadline: monotonic seconds after which a token is of no use.

        Raises:
            ValueError: no https (or loopback) origin.
            TokenUnavailable: names identity, resource and remedy.
            DeadlineExceeded: there was none before the deadline.
        """
        return self._cached(_Key(_checked(resource)), deadline).text

    def forget(self, resource: str, refused: str = "") -> None:
        """Drop the token for a resource, after it was refused: the next one is asked for anew.

        The platform has a cache of its own, of about a day, that no caller can pass.

        Args:
            resource: the service's origin.
            refused: the token that was refused. When another thread has renewed it already, the
                new one is kept. "" drops any.
        """
        key = _Key(_checked(resource))
        with self._lock:
            kept = self._tokens.get(key)
            if kept and refused in {"", kept.token.text}:
                del self._tokens[key]

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
        except (IndexError, ValueError, RecursionError):
            return {}
        return claims if isinstance(claims, dict) else {}

    def storage_credential(self) -> "TokenCredential":
        """Credential for the checkpoint's blobs: the identity that the storage connection names.

        Its `get_token` raises TokenUnavailable.
        """
        return _StorageCredential(lambda: self._cached(_Key(_STORAGE, storage=True), math.inf))

    def _cached(self, key: _Key, deadline: float) -> Token:
        came = self._clock.monotonic()
        with self._lock:
            kept = self._tokens.get(key)
            asking = self._asking.setdefault(key, threading.Lock())
        if kept and came < kept.renew_at:
            return kept.token
        usable = kept if kept and came < kept.ends_at else None
        wait = 0.0 if usable else min(max(0.0, deadline - came), threading.TIMEOUT_MAX)
        if not asking.acquire(timeout=wait):
            if usable:
                return usable.token
            raise DeadlineExceeded(f"no token for {key.resource} in time")
        try:
            return self._renewed(key, came, deadline)
        finally:
            asking.release()

    def _renewed(self, key: _Key, came: float, deadline: float) -> Token:
        """Ask, unless another thread did while this one waited: its answer counts, good or bad."""
        now = self._clock.monotonic()
        with self._lock:
            kept = self._tokens.get(key)
            failure = self._failures.get(key)
        if kept and now < kept.renew_at:
            return kept.token
        if failure and failure.at > came:
            raise TokenUnavailable(failure.message)
        try:
            token = self._ask(key, deadline)
        except (TokenUnavailable, DeadlineExceeded) as error:
            now = self._clock.monotonic()
            with self._lock:
                # Only if nobody had it refused meanwhile.
                if kept and now < kept.ends_at and self._tokens.get(key) is kept:
                    self._tokens[key] = kept._replace(renew_at=now + _POSTPONED_SECONDS)
                    return kept.token
                if isinstance(error, TokenUnavailable):
                    self._failures[key] = _Failure(str(error), now)
            raise
        # What is left of its life is a matter of real time, as the issuer sees it; from now on it
        # ages with the program's clock.
        now = self._clock.monotonic()
        ends_at = now + token.expires_on - time.time()
        with self._lock:
            self._tokens[key] = _Kept(token, ends_at - _EARLY_SECONDS, ends_at - _LAST_SECONDS)
        return token

    def _ask(self, key: _Key, deadline: float) -> Token:
        settings = self._settings
        if key.storage:
            return self._home(key.resource, settings.checkpoint.client_id, deadline)
        own = settings.managed_identity_client_id
        if not settings.target_tenant_id:
            return self._home(key.resource, own, deadline)
        proof = self._home(settings.federated_audience, own, deadline)
        return self._try(
            lambda left: exchanged_token(settings, self._session, key.resource, proof, left),
            deadline,
            f"{key.resource} as application {settings.target_client_id} in tenant "
            f"{settings.target_tenant_id}",
            "Check the application's federated credential (issuer, subject, audience "
            f"{settings.federated_audience}) and its consent in that tenant",
        )

    def _home(self, resource: str, client_id: str | None, deadline: float) -> Token:
        """A token in the identity's own tenant."""
        who = (
            f"user-assigned managed identity {client_id}"
            if client_id
            else "the system-assigned managed identity"
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
        return self._try(
            lambda left: platform_token(resource, client_id, left),
            deadline,
            f"{resource} as {who}",
            remedy,
        )

    def _try(self, ask: Callable[[float], Token], deadline: float, what: str, remedy: str) -> Token:
        """Ask up to three times: the platform's answers do not say whether asking again helps."""
        reason = "no time left"
        for pause in (0.0, *_PAUSES):
            left = deadline - self._clock.monotonic() - pause
            if left <= 0:
                raise DeadlineExceeded(f"no token for {what} in time: {reason}")
            if pause:
                self._clock.sleep(pause)
            try:
                return ask(left)
            except Exception as error:  # noqa: BLE001 - both libraries leak whatever they trip over
                reason = reason_of(error)
        raise TokenUnavailable(f"no token for {what}: {reason}. {remedy}")


class _StorageCredential:
    """azure-core's credential protocol over the identity's cache."""

    def __init__(self, token: Callable[[], Token]) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> "AccessToken":
        """A token for Azure Storage, whatever scope an answer of the account asks for."""
        from azure.core.credentials import AccessToken  # noqa: PLC0415 - slow

        token = self._token()
        return AccessToken(token.text, int(token.expires_on))


def _checked(resource: str) -> str:
    """The origin in normal form: a token must never go, or be asked, for plain http."""
    try:
        return origin(resource)
    except ValueError:
        raise ValueError(f"no https origin to ask a token for: {resource!r}") from None
