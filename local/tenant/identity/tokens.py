"""Managed-identity endpoint, login authority, and the tokens they hand out.

Sources: "How to use managed identities for App Service and Azure Functions" (REST reference),
"Configure an application to trust a managed identity" (federated credential).
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from local.tenant.http import Request

SHAREPOINT_ORIGINS = ("mysite", "admin", "mysite2", "admin2")
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
SHAREPOINT_APP_ID = "00000003-0000-0ff1-ce00-000000000000"
STORAGE = "https://storage.azure.com"
EXCHANGES = frozenset(
    {
        "api://AzureADTokenExchange",
        "api://AzureADTokenExchangeUSGov",
        "api://AzureADTokenExchangeChina",
    }
)
DAY = 86_400


class Refused(Exception):
    """A request without a valid token for this host; the service answers in its own format."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says; roles are those of the audience's service only."""

    audience: str
    roles: frozenset[str]
    app_id: str


class Tokens:
    """Mints and checks tokens: signed JSON web tokens as Entra ID issues for an application.

    Their times are real time, whatever clock the tenant has: the libraries that cache them and
    the storage emulator that checks them live in real time too.

    Args:
        roles: names of granted app roles by service, `graph` and `sharepoint`; read when minting.
        origins: URL of an origin, such as `http://127.0.0.1:7101` of `graph`.
    """

    def __init__(
        self, *, roles: Mapping[str, Collection[str]], origins: Callable[[str], str]
    ) -> None:
        self.tenant_id = str(uuid.uuid4())
        self.lifetime: float = DAY
        self._roles = roles
        self._origins = origins
        self._key = secrets.token_bytes(32)
        self._generation = 0

    def service(self, audience: str) -> str | None:
        """Which service a resource or audience names, None when none.

        `graph`, `sharepoint`, `storage`, or `exchange` for a federated credential's assertion.
        """
        audience = audience.rstrip("/")
        if audience in (self._origins("graph"), "https://graph.microsoft.com", GRAPH_APP_ID):
            return "graph"
        if audience in EXCHANGES:
            return "exchange"
        if audience == STORAGE or audience.endswith(".blob.core.windows.net"):
            return "storage"
        if audience in {self._origins(name) for name in SHAREPOINT_ORIGINS}:
            return "sharepoint"
        return None

    def is_satellite(self, audience: str) -> bool:
        """Whether a resource is a SharePoint host of the second geo."""
        return audience.rstrip("/") in {self._origins("mysite2"), self._origins("admin2")}

    def mint(self, audience: str, app_id: str, object_id: str, **claims: object) -> str:
        """A token for this audience with the roles granted now; `claims` are added or replaced."""
        now = time.time()
        service = self.service(audience) or ""
        body: dict[str, object] = {
            "aud": audience.rstrip("/"),
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": int(now),
            "nbf": int(now) - 300,
            "exp": int(now + self.lifetime),
            "appid": app_id,
            "appidacr": "2",
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "tid": self.tenant_id,
            "roles": sorted(self._roles.get(service, ())),
            "ver": "1.0",
            "generation": self._generation,
        } | claims
        head = _encode({"typ": "JWT", "alg": "HS256"})
        text = f"{head}.{_encode(body)}"
        return f"{text}.{self._sign(text)}"

    def read(self, token: str) -> dict[str, object]:
        """The claims of a token of ours that is in date.

        Raises:
            Refused: no token of ours, expired, or revoked.
        """
        text, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            raise Refused(401, "Token contains invalid signature.")
        claims: dict[str, object] = json.loads(_decode(text.partition(".")[2]))
        now = time.time()
        if now >= _number(claims["exp"]) or claims["generation"] != self._generation:
            raise Refused(401, "Lifetime validation failed, the token is expired.")
        if now < _number(claims["nbf"]):
            raise Refused(401, "Lifetime validation failed, the token is not yet valid.")
        return claims

    def check(self, request: Request, audiences: Collection[str]) -> Claims:
        """What the bearer token of a request says.

        Raises:
            Refused: no token, not of ours, expired, or for another audience.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "Access token is empty.")
        claims = self.read(token.strip())
        audience = str(claims["aud"])
        if audience not in {known.rstrip("/") for known in audiences}:
            raise Refused(401, "Access token validation failure. Invalid audience.")
        roles = claims["roles"]
        return Claims(
            audience=audience,
            roles=frozenset(roles if isinstance(roles, list) else ()),
            app_id=str(claims["appid"]),
        )

    def revoke(self) -> None:
        """Refuse every token minted so far."""
        self._generation += 1

    def _sign(self, text: str) -> str:
        return _b64(hmac.new(self._key, text.encode(), hashlib.sha256).digest())


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode(value: object) -> str:
    return _b64(json.dumps(value).encode())


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
