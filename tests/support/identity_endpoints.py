"""Stand-ins of the platform's token endpoint and of the login authority, on loopback."""

import base64
import datetime as dt
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = tuple[int, str]


def jwt(**claims: object) -> str:
    """A token that can be read, with a signature nobody checks."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'typ': 'JWT'})}.{part(claims)}.signature"


@dataclass
class Platform:
    """The token endpoint of App Service: what it was asked, and what it answers."""

    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[str | None] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    lifetime: float = 86_400
    gate: threading.Event | None = None
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        if self.gate:
            self.gate.wait(10)
        query = dict(parse_qsl(urlsplit(request.path).query))
        self.asked.append(query)
        self.headers.append(request.headers["X-IDENTITY-HEADER"])
        if self.answers:
            return self.answers.pop(0)
        token = jwt(aud=query["resource"], appid=query.get("client_id"), n=len(self.asked))
        body = {"access_token": token, "expires_on": str(int(time.time() + self.lifetime))}
        return 200, json.dumps(body | {"resource": query["resource"], "token_type": "Bearer"})

    @property
    def resources(self) -> list[str]:
        return [query["resource"] for query in self.asked]


@dataclass
class Login:
    """The token endpoint of Entra ID in the target tenant, over TLS."""

    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    url: str = ""
    certificate: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        path = urlsplit(request.path).path
        tenant = path.split("/")[1]
        if request.command == "GET":
            root = f"{self.url}/{tenant}"
            return 200, json.dumps(
                {
                    "issuer": f"{root}/v2.0",
                    "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{root}/oauth2/v2.0/token",
                }
            )
        length = int(request.headers["Content-Length"])
        form = dict(parse_qsl(request.rfile.read(length).decode()))
        self.asked.append((path, form))
        if self.answers:
            return self.answers.pop(0)
        token = jwt(tid=tenant, scope=form["scope"], n=len(self.asked))
        return 200, json.dumps({"token_type": "Bearer", "expires_in": 3599, "access_token": token})


@contextmanager
def serving(
    answer: Callable[[BaseHTTPRequestHandler], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve on a free port of loopback; yields the origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(self)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", text)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 -- http.server's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def certified(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server context for 127.0.0.1 and the path of the certificate to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "login")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "login.pem"
    private = folder / "login.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, str(pem)
