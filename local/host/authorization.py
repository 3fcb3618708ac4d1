"""Who may call: keys, and the identity that App Service's sign-in puts into a header."""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from local.host.http_message import Request


class Level(IntEnum):
    """What a caller has proven, and what a function or an endpoint asks for."""

    ANONYMOUS = 0
    FUNCTION = 1
    ADMIN = 2

    @classmethod
    def named(cls, name: object) -> "Level":
        """The level of an `authLevel` in function.json.

        Raises:
            KeyError: there is no such level.
        """
        return cls[str(name).upper()]


class MalformedPrincipal(Exception):
    """The header of a signed-in caller cannot be read; the host answers 500 on every route."""


@dataclass(frozen=True)
class Keys:
    """The two keys callers use.

    Attributes:
        function: opens functions with auth level `function`.
        master: opens everything, and the admin endpoints.
    """

    function: str
    master: str

    @classmethod
    def generate(cls) -> "Keys":
        """Fresh random keys."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32))

    def level(self, offered: str) -> Level:
        """What a key opens."""
        for key, level in ((self.master, Level.ADMIN), (self.function, Level.FUNCTION)):
            if hmac.compare_digest(key.encode(), offered.encode()):
                return level
        return Level.ANONYMOUS


def proven_level(request: Request, keys: Keys, settings: Mapping[str, str]) -> Level:
    """What a request proves: by its key, or by a signed-in caller.

    The header `x-functions-key` counts before the parameter `code`, also when it is empty.

    Raises:
        MalformedPrincipal: with `WEBSITE_AUTH_ENABLED=True` a principal that does not decode.
    """
    if settings.get("WEBSITE_AUTH_ENABLED", "").lower() == "true":
        principal = request.headers.get("x-ms-client-principal")
        if principal is not None:
            _read_principal(principal)
            # Observed: the host takes the header for proof and opens everything, which is why
            # nothing but App Service itself may set WEBSITE_AUTH_ENABLED.
            return Level.ADMIN
    offered = request.headers.get("x-functions-key")
    return keys.level(request.parameter("code") if offered is None else offered)


def _read_principal(text: str) -> None:
    try:
        document = json.loads(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise MalformedPrincipal from error
    if not isinstance(document, dict):
        raise MalformedPrincipal
