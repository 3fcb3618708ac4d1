"""Proof that the platform refuses forged identities: a request to this app's own portal.

App Service authentication deletes `X-MS-*` headers of callers. Where it is off although the
settings say it is on, one forged header is a master key, and it has failed open before
(reference/portal.md 0 and 3.2). So each process sends a forged principal to its own public address
before it shows anybody anything, and again every ten minutes:

* refused (401, 403 or a redirect to sign-in): all is well;
* 200, which only the portal itself answers, or 500, with which the host answers an identity that
  it tried to read: open;
* anything else, or no answer (access restrictions, private endpoint): unknown. The portal goes on
  working, and the check says so.

The forged principal is that of `PROBE_ID`, whom nobody else can be. Whoever answers it knows that
the layer let it through, so a probe never starts another one.
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from typing import Protocol

from shared.clock import Clock
from shared.sign_in.expected import Expected
from shared.sign_in.principal import HELP_DESK, PROBE_ID

FRESH_SECONDS = 600.0
UNKNOWN_FRESH_SECONDS = 60.0
TIMEOUT_SECONDS = 4.0
PATH = "/api/portal/api/me"

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Verdict(StrEnum):
    """What a probe showed."""

    ENFORCED = "enforced"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A verdict and what it rests on.

    Attributes:
        verdict: see `Verdict`.
        detail: one sentence.
    """

    verdict: Verdict
    detail: str


class Get(Protocol):
    """Sends one GET without following redirects."""

    def __call__(self, url: str, headers: Mapping[str, str], timeout: float) -> int:
        """The status of the answer.

        Raises:
            OSError: there is no answer.
        """
        ...


_ARRIVED = Finding(Verdict.OPEN, "a forged identity reached the app")


def forged_headers(expected: Expected) -> dict[str, str]:
    """A well-formed principal with the app role: an open layer must not stumble over it."""
    claims = {
        "oid": PROBE_ID,
        "tid": expected.tenant_id,
        "aud": expected.client_id,
        "name": "Photo Sync sign-in check",
        "preferred_username": "photo-sync-check@nobody.invalid",
        "roles": HELP_DESK,
    }
    document = {
        "auth_typ": "aad",
        "claims": [{"typ": name, "val": value} for name, value in claims.items()],
        "name_typ": "name",
        "role_typ": "roles",
    }
    encoded = base64.b64encode(json.dumps(document).encode()).decode()
    return {
        "X-MS-CLIENT-PRINCIPAL": encoded,
        "X-MS-CLIENT-PRINCIPAL-ID": PROBE_ID,
        "X-MS-CLIENT-PRINCIPAL-NAME": "Photo Sync sign-in check",
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        "Sec-Fetch-Site": "same-origin",
    }


def address(environ: Mapping[str, str]) -> str | None:
    """This app's own public address; None when the platform does not name it."""
    host = environ.get("WEBSITE_HOSTNAME", "").strip()
    if not host or any(c in host for c in "/@?#\\ "):
        return None
    local = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
    return f"{'http' if local else 'https'}://{host}{PATH}"


def judge(status: int) -> Finding:
    """What the answer to a forged principal means."""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Finding(Verdict.ENFORCED, f"a forged identity was refused ({status})")
    if status in {HTTPStatus.FOUND, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.SEE_OTHER}:
        return Finding(Verdict.ENFORCED, f"a forged identity was sent to sign-in ({status})")
    if status in {HTTPStatus.OK, HTTPStatus.INTERNAL_SERVER_ERROR}:
        return Finding(Verdict.OPEN, f"a forged identity was not refused ({status})")
    return Finding(Verdict.UNKNOWN, f"the app's own address answered {status}")


def get(url: str, headers: Mapping[str, str], timeout: float) -> int:
    """One GET to this app's own address: no proxy, no redirect, no cookie, nothing read."""
    import requests  # noqa: PLC0415 - files and refusals of the portal do without

    with requests.Session() as session:
        session.trust_env = False
        with session.get(
            url, headers=dict(headers), timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            return response.status_code


class Proof:
    """Remembers the last finding of this process; thread-safe.

    Args:
        get: sends the probe.
        clock: where time comes from.
    """

    def __init__(self, get: Get, clock: Clock) -> None:
        self._get = get
        self._clock = clock
        self._lock = Lock()
        self._finding: Finding | None = None
        self._looked = 0.0
        self._asked: tuple[str | None, Expected] | None = None
        self._seen_forged = False

    def finding(
        self, environ: Mapping[str, str], expected: Expected, *, fresh: bool = False
    ) -> Finding:
        """The last finding, or a new one when it is too old.

        Args:
            environ: names the app's own address.
            expected: goes into the forged principal.
            fresh: look now, whatever is remembered.
        """
        url = address(environ)
        asked = (url, expected)
        with self._lock:
            age = self._clock.monotonic() - self._looked
            if (
                self._finding is None
                or fresh
                or (self._asked is not None and asked != self._asked)
                or age >= self._kept_seconds(self._finding)
            ):
                self._finding = self._look(url, expected)
                if self._finding.verdict is Verdict.ENFORCED:
                    self._seen_forged = False
                elif self._seen_forged:
                    self._finding = _ARRIVED
                self._looked = self._clock.monotonic()
                self._asked = asked
            return self._finding

    def forged(self) -> None:
        """Note that a forged principal arrived: only a probe that is refused disproves it."""
        # Without the lock: the probe that this answers may hold it.
        self._seen_forged = True
        self._finding = _ARRIVED
        self._looked = self._clock.monotonic()

    @staticmethod
    def _kept_seconds(finding: Finding) -> float:
        return FRESH_SECONDS if finding.verdict is Verdict.ENFORCED else UNKNOWN_FRESH_SECONDS

    def _look(self, url: str | None, expected: Expected) -> Finding:
        if url is None:
            return Finding(Verdict.UNKNOWN, "the app's own address is not known")
        try:
            return judge(self._get(url, forged_headers(expected), TIMEOUT_SECONDS))
        except OSError as error:
            return Finding(
                Verdict.UNKNOWN, f"the app cannot reach its own address ({type(error).__name__})"
            )


PROOF = Proof(get, time)
"""What this process knows of the sign-in in front of it."""
