"""The whole emulated tenant: composes services, listens, records, injects faults."""

import logging
import random
import re
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from local.tenant.control import Control
from local.tenant.directory import Directory
from local.tenant.faults import Delivery, Fault, Faults
from local.tenant.graph.principals import Identity, Principals
from local.tenant.graph.service import Graph
from local.tenant.http import Clock, Request, Response
from local.tenant.identity.service import Certificate, IdentityEndpoint, Login
from local.tenant.identity.tokens import Tokens
from local.tenant.latency import Latency
from local.tenant.operations import classify
from local.tenant.population import Population
from local.tenant.quirks import Quirks, Quotas
from local.tenant.request_log import THROTTLED, Entry, Tape
from local.tenant.server import Listener
from local.tenant.sharepoint.service import SharePoint

ORIGINS = ("graph", "mysite", "admin", "mysite2", "admin2", "login", "identity")
#: In the envelope of a Graph batch, or as a part of a SharePoint batch.
_THROTTLED_ITEM = re.compile(rb'"status": ?(?:429|503)\b|^HTTP/1.1 (?:429|503)\b', re.MULTILINE)
_log = logging.getLogger(__name__)
SHAREPOINT_ORIGINS = frozenset({"mysite", "admin", "mysite2", "admin2"})


class Tenant:
    """An emulated Microsoft 365 tenant on ports of 127.0.0.1.

    Args:
        users: number of people.
        seed: of the people and their photos.
        clock: for quotas and the tape.
        quotas: limits; none by default.
        quirks: answers to what is not known of the real services.
        name: of the tenant.
        plain: everybody is ordinary and has a good photo, for measurements.
        latency: how long answers take; no time by default.
        ports: fixed ports by origin; others are free ones.

    Attributes:
        directory: people and groups; change it at any time.
        population: changes photos in bulk.
        sharepoint: profiles and files.
        graph: `graph.users.expire_pages()`.
        tokens: `tokens.lifetime`, `tokens.revoke()`.
        tape: record of all requests, without those of the control interface.
        faults: plan of faults.
        roles: granted app roles of `graph` and `sharepoint`; in tokens minted after a change.
        certificate: PEM file of the login authority, for clients to trust.
        user_identity: the user-assigned identity, and subject of the federated credential.
        app_client_id: app registration that trusts it.
        group_id: a group of every tenth person.
        latency: how long answers take; may be set at any time.
        quit: set when the control interface was asked to end the tenant.
    """

    def __init__(
        self,
        *,
        users: int = 50,
        seed: int = 1,
        clock: Clock = time,
        quotas: Quotas | None = None,
        quirks: Quirks | None = None,
        name: str = "contoso",
        plain: bool = False,
        ports: Mapping[str, int] | None = None,
        latency: Latency | None = None,
    ) -> None:
        self.clock = clock
        self.latency = latency
        self.quotas = quotas or Quotas()
        self.quirks = quirks or Quirks()
        self.roles = {
            "graph": {"User.Read.All", "GroupMember.Read.All"},
            "sharepoint": {"User.ReadWrite.All", "Sites.FullControl.All"},
        }
        self.tape = Tape()
        self.faults = Faults()
        self.directory = Directory()
        ids = random.Random(f"ids/{seed}")
        system, user = (_identity(ids, f"{name}-{kind}") for kind in ("system", "user"))
        self.user_identity = user
        self.app_client_id = str(uuid.UUID(int=ids.getrandbits(128), version=4))
        self.group_id = str(uuid.UUID(int=ids.getrandbits(128), version=4))
        self._secret = secrets.token_hex(16)
        self._certificate = Certificate()
        self.tokens = Tokens(roles=self.roles, origins=self.url)
        self._listeners: dict[str, Listener] = {}
        self.sharepoint = SharePoint(
            directory=self.directory,
            tokens=self.tokens,
            clock=clock,
            origins=self.url,
            quirks=self.quirks,
            quotas=self.quotas,
        )
        self.graph = Graph(
            directory=self.directory,
            tokens=self.tokens,
            clock=clock,
            origins=self.url,
            quirks=self.quirks,
            quotas=self.quotas,
            principals=Principals(identities=(system, user), roles=self.roles, tenant_name=name),
        )
        identity = IdentityEndpoint(
            tokens=self.tokens, system=system, user=user, secret=self._secret, quirks=self.quirks
        )
        login = Login(tokens=self.tokens, identity=user, client_id=self.app_client_id)
        self._handlers: dict[str, Callable[[Request], Response]] = {
            "graph": self.graph.handle,
            "login": login.handle,
            "identity": identity.handle,
        }
        self._handlers |= dict.fromkeys(SHAREPOINT_ORIGINS, self.sharepoint.handle)
        self.quit = threading.Event()
        wanted = ports or {}
        for origin in ORIGINS:
            tls = self._certificate.context if origin == "login" else None
            self._listeners[origin] = Listener(
                origin, self._serve, port=wanted.get(origin, 0), tls=tls
            )
        self.population = Population(
            self.directory, users=users, seed=seed, name=name, plain=plain, quirks=self.quirks
        )
        self.directory.groups[self.group_id] = set(list(self.directory.people)[::10])
        self._control = Control(
            directory=self.directory,
            population=self.population,
            sharepoint=self.sharepoint,
            tape=self.tape,
            clock=clock,
            end=self.quit.set,
        )

    def start(self) -> Self:
        """Listen."""
        for listener in self._listeners.values():
            listener.start()
        return self

    def stop(self) -> None:
        """Close all ports and connections."""
        for listener in self._listeners.values():
            listener.stop()
        self._certificate.remove()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def certificate(self) -> Path:
        """PEM file of the login authority's self-signed certificate."""
        return self._certificate.path

    def url(self, origin: str) -> str:
        """Root URL of an origin, without a slash at the end."""
        return self._listeners[origin].url

    def settings(self) -> dict[str, str]:
        """The application settings that point an app at this tenant; storage is not part of it."""
        return {
            "GRAPH_URL": self.url("graph"),
            "LOGIN_URL": self.url("login"),
            "SHAREPOINT_MYSITE_URL": self.url("mysite"),
            "SHAREPOINT_ADMIN_URL": self.url("admin"),
            "IDENTITY_ENDPOINT": f"{self.url('identity')}/msi/token",
            "IDENTITY_HEADER": self._secret,
        }

    def _serve(self, request: Request) -> tuple[Response, Delivery]:
        """Answer a request: record it, let a planned fault act, and the service in between."""
        if request.origin == "identity" and request.path().startswith("/control/"):
            return self._control.handle(request), Delivery.WHOLE
        operation = classify(request)
        entry = self.tape.record(
            Entry(
                index=0,
                origin=request.origin,
                service=operation.service,
                operation=operation.name,
                method=request.method,
                target=request.target,
                agent=sys.intern(request.headers.get("user-agent", "")),
                items=operation.items,
                changes=operation.changes,
                started=self.clock.time(),
                request_bytes=len(request.body),
            )
        )
        if self.latency is not None:
            self.clock.sleep(self.latency.of(operation.name))
        fault = self.faults.take(entry, request, self._names)
        response, delivery = self._act(request, entry, fault)
        if delivery in (Delivery.WHOLE, Delivery.HALF):
            entry.status = response.status
            entry.response_bytes = len(response.body)
        entry.units = response.units
        if response.status in THROTTLED:
            entry.throttled = 1
        elif entry.items:
            entry.throttled = len(_THROTTLED_ITEM.findall(response.body))
        entry.ended = self.clock.time()
        return response, delivery

    def _act(
        self, request: Request, entry: Entry, fault: Fault | None
    ) -> tuple[Response, Delivery]:
        if fault is None:
            return self._answer(request, entry), Delivery.WHOLE
        entry.fault = fault.kind
        action = fault.action or _nothing
        if fault.when == "before":
            action()
        if fault.before_effect:
            response = fault.answer(entry.service, self.clock.time())
        else:
            response = self._answer(request, entry)
            names = self._names(fault.person) if fault.person else ()
            fault.spoil(request, response, names, self.clock.time())
        if fault.when == "after":
            action()
        return response, fault.delivery

    def _answer(self, request: Request, entry: Entry) -> Response:
        try:
            return self._handlers[request.origin](request)
        except Exception:  # noqa: BLE001 - a bug in here must not look like a network fault
            _log.exception("%s %s %s", entry.origin, entry.method, entry.target)
            return Response(500, b"The emulated tenant has a bug; see its log.")

    def _names(self, person_id: str) -> tuple[str, ...]:
        """All lower-case forms in which a request may name a person."""
        person = self.directory.people.get(person_id)
        if person is None:
            return (person_id.lower(),)
        upn = person.upn.lower()
        return person_id.lower(), upn, upn.replace("@", "_").replace(".", "_")


def _nothing() -> None:
    """Action of a fault without one."""


def _identity(ids: random.Random, name: str) -> Identity:
    client, principal = (str(uuid.UUID(int=ids.getrandbits(128), version=4)) for _ in range(2))
    return Identity(client, principal, name)
