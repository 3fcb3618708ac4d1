"""The two requests for a token, through Microsoft's libraries but over connections of our own.

Sources: Azure App Service docs, "How to use managed identities" (the local token endpoint);
Microsoft Entra docs, "Configure an application to trust a managed identity".

azure-identity and msal are slow to import, so they are imported where they are first needed. Each
request gets fresh objects of theirs: they keep the platform's IDENTITY_HEADER, which is rotated,
and replay failed answers from memory.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import requests

from shared.config import Settings
from shared.http.connections import mount, read_body
from shared.http.exchange import exchange, within
from shared.http.response import HIDDEN, without_tokens

# At INFO these log every request; not "azure" as a whole, the Functions worker logs below it.
for _name in ("azure.core", "azure.storage", "msal", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# Logs every failed attempt twice with the raw answer; TokenUnavailable says it once, cleaned.
logging.getLogger("azure.identity").setLevel(logging.CRITICAL)

_SCOPE_SUFFIX = "/.default"
# The endpoint is on this machine; and a caller is waiting for an answer within a minute.
_CONNECT_SECONDS, _READ_SECONDS, _REQUEST_SECONDS = 3, 6, 9
_LONGEST_REASON = 300
_LONGEST_ANSWER_BYTES = 1024 * 1024
_LIBRARY_LEAD_IN = "Token request error: "


class Token(NamedTuple):
    """A bearer token; `expires_on` in seconds since the epoch of the real clock."""

    text: str
    expires_on: float


def platform_token(resource: str, client_id: str | None, seconds: float) -> Token:
    """Ask the platform's token endpoint, which is on this machine, once.

    Never through a proxy: the request carries the platform's secret.

    Args:
        resource: origin of the service.
        client_id: of a user-assigned identity; None for the system-assigned one.
        seconds: longest time that it may take.
    """
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415 - slow
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415 - slow

    session = requests.Session()
    session.trust_env = False
    mount(session)
    with (
        exchange(within(min(seconds, _REQUEST_SECONDS))),
        ManagedIdentityCredential(
            client_id=client_id,
            retry_total=0,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            transport=RequestsTransport(session=session),
        ) as credential,
    ):
        return Token(*credential.get_token(resource + _SCOPE_SUFFIX)[:2])


def exchanged_token(
    settings: Settings, session: requests.Session, resource: str, proof: Token, seconds: float
) -> Token:
    """Ask the login authority once for a token of the target tenant.

    Args:
        settings: application and tenant.
        session: its proxy and trust settings count.
        resource: origin of the service.
        proof: token of the managed identity for the federated credential's audience.
        seconds: longest time that it may take.
    """
    import msal  # noqa: PLC0415 - slow

    with exchange(within(min(seconds, _REQUEST_SECONDS))):
        app = msal.ConfidentialClientApplication(
            settings.target_client_id,
            authority=f"{settings.login_url}/{settings.target_tenant_id}",
            client_credential={"client_assertion": lambda: proof.text},
            instance_discovery=False,
            http_client=_MsalClient(session),
        )
        asked = time.time()
        answer = app.acquire_token_for_client(scopes=[resource + _SCOPE_SUFFIX])
    if "access_token" not in answer:
        raise RuntimeError(answer.get("error_description") or answer.get("error"))
    return Token(answer["access_token"], asked + float(answer["expires_in"]))


class _MsalClient:
    """The session as msal uses it: bounded in time and size, and without redirects.

    A redirect would take the proof elsewhere.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def get(self, url: str, **arguments: Any) -> "_Answer":
        return self._send("GET", url, arguments)

    def post(self, url: str, **arguments: Any) -> "_Answer":
        return self._send("POST", url, arguments)

    def _send(self, method: str, url: str, arguments: dict[str, Any]) -> "_Answer":
        with self._session.request(
            method,
            url,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            allow_redirects=False,
            stream=True,
            verify=self._session.verify,  # said here, or REQUESTS_CA_BUNDLE would win over it
            **arguments,
        ) as response:
            body = read_body(response, _LONGEST_ANSWER_BYTES)
            if len(body) > _LONGEST_ANSWER_BYTES:
                raise RuntimeError("the answer is too large")
            return _Answer(response.status_code, response.headers, body.decode(errors="replace"))


class _Answer(NamedTuple):
    """What msal reads of a response."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def raise_for_status(self) -> None:
        """Raise when the status is an error."""
        if self.status_code >= 400:  # noqa: PLR2004 - the classes of HTTP errors
            raise RuntimeError(f"HTTP status {self.status_code}")


def reason_of(error: Exception) -> str:
    """An error's reason in one line, without tokens, the platform's secret or its long tail."""
    text = " ".join(str(error).rpartition(_LIBRARY_LEAD_IN)[2].split()) or type(error).__name__
    text = text.replace(os.environ.get("IDENTITY_HEADER") or "\0", HIDDEN)
    return without_tokens(text)[:_LONGEST_REASON].rstrip(". ")
