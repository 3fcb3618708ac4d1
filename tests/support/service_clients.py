"""An emulated tenant and the program's two clients of it, on a virtual clock, without storage."""

import threading
from typing import Any, Self

from local.support.clock import VirtualClock
from local.tenant import Fault, Quirks, Quotas, Tenant
from local.tenant.directory import Person
from shared.errors import TokenUnavailable
from shared.graph import Graph
from shared.http import Budget, Service
from shared.log import InvocationLog
from shared.model import ThumbnailLocation, User
from shared.photos import Thumbnails
from shared.sharepoint import FolderCache, Hosts, Profile, SharePoint, files_of

IMAGES = Thumbnails(b"small", b"medium!", b"large bytes")


class _Minted:
    """Tokens straight from the tenant, with the roles of the moment; kept until forgotten."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._kept: dict[str, str] = {}
        self._lock = threading.Lock()

    def token(self, resource: str, deadline: float = 0.0) -> str:  # noqa: ARG002
        """A token for this origin."""
        tokens, identity = self._tenant.tokens, self._tenant.user_identity
        if tokens.is_satellite(resource) and not self._tenant.quirks.second_geo_token:
            raise TokenUnavailable(f"no token for {resource}: AADSTS500011")
        with self._lock:
            if resource not in self._kept:
                self._kept[resource] = self._tenant.tokens.mint(
                    resource, identity.client_id, identity.object_id
                )
            return self._kept[resource]

    def forget(self, resource: str, refused: str = "") -> None:
        """Renew what was refused."""
        with self._lock:
            if self._kept.get(resource) == refused:
                del self._kept[resource]


class Clients:
    """Use as a context manager.

    Args:
        users: number of people; the first 60 are of every kind unless `plain`.
        seconds: budget of the invocation.
        quirks, quotas: of the tenant.
    """

    def __init__(
        self,
        *,
        users: int = 60,
        plain: bool = False,
        seconds: float = 3600,
        quirks: Quirks | None = None,
        quotas: Quotas | None = None,
        concurrency: int = 8,
    ) -> None:
        self.clock = VirtualClock()
        self.folders = FolderCache(self.clock)
        self.tenant = Tenant(
            users=users, plain=plain, clock=self.clock, quirks=quirks, quotas=quotas
        )
        self.seconds = seconds
        self.concurrency = concurrency

    def __enter__(self) -> Self:
        self.tenant.start()
        self.renew()
        return self

    def __exit__(self, *_: object) -> None:
        self.tenant.stop()

    @property
    def mysite(self) -> str:
        """Origin of the My Site host."""
        return self.tenant.url("mysite")

    def renew(self) -> None:
        """Clients of a new invocation."""
        tokens = _Minted(self.tenant)
        mysite, admin = self.tenant.url("mysite"), self.tenant.url("admin")
        root = self.tenant.url("graph")
        self.budget = Budget(self.clock.monotonic() + self.seconds)
        common: dict[str, Any] = {
            "tokens": tokens,
            "concurrency": self.concurrency,
            "user_agent": "NONISV|Test|PhotoSync/0",
            "clock": self.clock,
        }
        self.graph_service = Service("graph", origins=root.__eq__, **common)
        self.sharepoint_service = Service(
            "sharepoint",
            origins=Hosts(mysite, admin).owns,
            **common,
        )
        self.graph = Graph(self.graph_service, root, self.budget)
        self.log = InvocationLog()
        self.sharepoint = SharePoint(
            self.sharepoint_service,
            mysite=mysite,
            admin=admin,
            budget=self.budget,
            log=self.log,
            folders=self.folders,
        )

    def fault(self, kind: Any, **more: Any) -> Fault:
        """Plan a fault."""
        return self.tenant.faults.add(Fault(kind, **more))

    def person(self, kind: str) -> Person:
        """The first person of a kind."""
        people = self.tenant.directory.people.values()
        return next(person for person in people if person.kind == kind)

    def users(self) -> list[User]:
        """Everybody, as the program knows them."""
        return [as_user(person) for person in self.tenant.directory.people.values()]

    def count(self, operation: str) -> int:
        """Requests on the tape."""
        return self.tenant.tape.count(operation=operation)

    def profile_of(self, person: Person) -> Profile:
        """What SharePoint knows of a person; fails the test when it is nothing."""
        found = self.sharepoint.profiles([as_user(person)])[person.id]
        assert isinstance(found, Profile), found
        return found

    def place_of(self, person: Person) -> ThumbnailLocation:
        """Where the program would write this person's files."""
        return self.sharepoint.location(self.profile_of(person), person.id)

    def upload(self, location: ThumbnailLocation, thumbnails: Thumbnails = IMAGES) -> None:
        """Upload three files, M last."""
        for size, data in files_of(thumbnails).items():
            self.sharepoint.upload(location, size, data)

    def write(self, person: Person) -> ThumbnailLocation:
        """Upload `IMAGES` for a person and show them."""
        place = self.place_of(person)
        self.upload(place)
        self.sharepoint.show(person.upn, place)
        return place

    def shown(self, person: Person) -> list[bytes | None]:
        """What SharePoint's pages show of a person: S, M, L."""
        return [self.tenant.sharepoint.shown_picture(person.id, size) for size in "SML"]


def as_user(person: Person) -> User:
    """A person, as the program knows them."""
    return User(person.id, person.upn)
