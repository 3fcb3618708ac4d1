"""The HTTP side of identity: the managed-identity endpoint and the login authority.

Sources: "How to use managed identities for App Service and Azure Functions" (REST reference);
Microsoft identity platform, client credentials flow with a federated credential.
"""

import ssl
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs

from local.support.certificate import write_certificate
from local.tenant.graph.principals import Identity
from local.tenant.http import Request, Response, json_response
from local.tenant.identity.tokens import Refused, Tokens
from local.tenant.quirks import Quirks

API_VERSION = "2019-08-01"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SELECTORS = frozenset({"client_id", "principal_id", "object_id", "mi_res_id"})


class IdentityEndpoint:
    """`/msi/token` as App Service and Functions serve it to the app.

    Args:
        tokens: mints them.
        system: the system-assigned identity; None when only user-assigned ones are attached.
        user: the user-assigned identity.
        secret: value of `IDENTITY_HEADER`.
        quirks: how long tokens are cached by the platform.
    """

    def __init__(
        self, *, tokens: Tokens, system: Identity, user: Identity, secret: str, quirks: Quirks
    ) -> None:
        self._tokens = tokens
        self._system = system
        self._user = user
        self._secret = secret
        self._quirks = quirks
        self._cache: dict[tuple[str, str], tuple[float, str, int]] = {}

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        query = request.query()
        if request.path() != "/msi/token":
            return Response(404)
        if request.method != "GET":
            return _msi_error(405, "Only GET is allowed.")
        if request.headers.get("x-identity-header") != self._secret:
            return _msi_error(401, "The X-IDENTITY-HEADER header is missing or wrong.")
        if query.get("api-version") != API_VERSION:
            return _msi_error(400, "The api-version is missing or not supported.")
        selectors = _SELECTORS & query.keys()
        if len(selectors) > 1:
            return _msi_error(400, "Only one identity selector may be given.")
        identity = self._identity({name: query[name] for name in selectors})
        if identity is None:
            return _msi_error(
                400,
                "No User Assigned or Delegated Managed Identity found for specified"
                " ClientId/ResourceId/PrincipalId.",
            )
        resource = query.get("resource", "")
        if not resource:
            return _msi_error(400, "The resource is missing.")
        satellite = self._tokens.is_satellite(resource) and not self._quirks.second_geo_token
        if self._tokens.service(resource) is None or satellite:
            # The real endpoint is as vague as this.
            return _msi_error(500, "An unexpected error occurred while fetching the AAD Token.")
        token, expires = self._token(resource, identity)
        return json_response(
            200,
            {
                "access_token": token,
                "expires_on": str(expires),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": identity.client_id.upper(),
            },
        )

    def _identity(self, selectors: dict[str, str]) -> Identity | None:
        for name, value in selectors.items():
            for identity in (self._system, self._user):
                known = identity.client_id if name == "client_id" else identity.object_id
                if value.lower() == known:
                    return identity
            return None
        return self._system

    def _token(self, resource: str, identity: Identity) -> tuple[str, int]:
        now = time.time()
        key = (resource, identity.client_id)
        made, token, expires = self._cache.get(key, (0.0, "", 0))
        if not token or now - made >= self._quirks.identity_cache_seconds:
            token = self._tokens.mint(resource, identity.client_id, identity.object_id)
            expires = int(now + self._tokens.lifetime)
            self._cache[key] = (now, token, expires)
        return token, expires


class Login:
    """The authority of another tenant that trusts the user-assigned identity.

    Args:
        tokens: mints them.
        identity: the one named as subject in the app's federated credential.
        client_id: the app registration.
        url: root of this authority.
    """

    def __init__(self, *, tokens: Tokens, identity: Identity, client_id: str) -> None:
        self._tokens = tokens
        self._identity = identity
        self._client_id = client_id

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        tenant, _, path = request.path().lstrip("/").partition("/")
        root = f"https://{request.headers.get('host', '')}/{tenant}"
        if request.method == "GET" and path == "v2.0/.well-known/openid-configuration":
            return json_response(
                200,
                {
                    "token_endpoint": f"{root}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                    "issuer": f"https://login.microsoftonline.com/{self._tokens.tenant_id}/v2.0",
                    "msgraph_host": "graph.microsoft.com",
                    "tenant_region_scope": "EU",
                },
            )
        if request.method == "POST" and path == "oauth2/v2.0/token":
            form = {name: value[0] for name, value in parse_qs(request.body.decode()).items()}
            return self._token(form)
        return Response(404)

    def _token(self, form: dict[str, str]) -> Response:
        if form.get("grant_type") != "client_credentials":
            return _login_error("unsupported_grant_type", "AADSTS70003: unsupported grant type.")
        if form.get("client_id", "").lower() != self._client_id:
            return _login_error(
                "unauthorized_client", "AADSTS700016: Application was not found in the directory."
            )
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            return _login_error("invalid_client", "AADSTS7000216: 'client_assertion' is required.")
        try:
            claims = self._tokens.read(form.get("client_assertion", ""))
        except Refused as refused:
            return _login_error("invalid_client", f"AADSTS700024: {refused.why}")
        if self._tokens.service(str(claims["aud"])) != "exchange":
            return _login_error(
                "invalid_client",
                "AADSTS700212: No matching federated identity record found for presented"
                f" assertion audience '{claims['aud']}'.",
            )
        if claims["sub"] != self._identity.object_id:
            return _login_error(
                "invalid_client",
                "AADSTS700213: No matching federated identity record found for presented"
                f" assertion subject '{claims['sub']}'.",
            )
        scope = form.get("scope", "")
        resource = scope.removesuffix("/.default")
        if resource == scope or self._tokens.service(resource) not in ("graph", "sharepoint"):
            return _login_error(
                "invalid_scope", f"AADSTS500011: The resource of '{scope}' was not found."
            )
        token = self._tokens.mint(resource, self._client_id, self._client_id)
        lifetime = int(self._tokens.lifetime)
        return json_response(
            200,
            {
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": token,
            },
        )


class Certificate:
    """A self-signed certificate for 127.0.0.1, in a folder of its own.

    Attributes:
        path: the certificate as PEM, for clients to trust.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tenant-certificate-")
        self.path, key_path = write_certificate(Path(self._folder.name))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.path, key_path)

    def remove(self) -> None:
        """Delete the files."""
        self._folder.cleanup()


def _msi_error(status: int, message: str) -> Response:
    return json_response(status, {"statusCode": status, "message": message})


def _login_error(error: str, description: str) -> Response:
    status = 401 if error == "invalid_client" else 400
    return json_response(status, {"error": error, "error_description": description})
