"""The tenant's directory: people, their photos, groups."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from local.tenant.pictures import Picture

Listener = Callable[[str, "Person"], None]


@dataclass(frozen=True, slots=True)
class Photo:
    """A person's photo: a picture, and the etag that this person's copy has."""

    picture: Picture
    etag: str

    @property
    def data(self) -> bytes:
        """The bytes as uploaded."""
        return self.picture.data

    @property
    def content_type(self) -> str:
        """What the service claims the bytes are; not always true."""
        return self.picture.content_type

    @property
    def width(self) -> int:
        """Pixels, as the service claims."""
        return self.picture.width

    @property
    def height(self) -> int:
        """Pixels, as the service claims."""
        return self.picture.height


@dataclass(frozen=True, slots=True)
class PhotoError:
    """What Graph answers in place of a person's photo, as for a mailbox that is on premises.

    Attributes:
        status: HTTP status.
        code: error code.
        body: form of the body; `html` and `empty` have no code.
    """

    status: int = 404
    code: str = "MailboxNotHostedInExchangeOnline"
    body: Literal["json", "html", "empty"] = "json"


@dataclass(slots=True)
class Person:
    """A user object with what the emulated services know of them.

    Attributes:
        id: Entra object id.
        upn: user principal name.
        display_name: name to show.
        mail: primary address; not always the UPN.
        account_enabled: sign-in allowed.
        user_type: `Member` or `Guest`; None for accounts from before 2014.
        plans: `assignedPlans` as Graph returns them; shared between people, never change in place.
        photo: what Exchange holds.
        photo_error: what Graph answers in place of the photo; None for the usual answer.
        has_profile: SharePoint has a user profile.
        geo: empty for the central geo, else the name of the second one.
        existing: what SharePoint shows at the start: `none`, `upn-prefix`, `id-prefix`,
            `foreign-url`, `placeholder`.
        department: for filters.
        kind: why this person is in the tenant, in a word or two, for people to read.
        serial: order of the listing.
    """

    id: str
    upn: str
    display_name: str
    mail: str
    account_enabled: bool
    user_type: str | None
    plans: list[dict[str, str]]
    photo: Photo | None
    has_profile: bool
    geo: str
    existing: str
    department: str = ""
    kind: str = ""
    serial: int = 0
    photo_error: PhotoError | None = None


class Directory:
    """People by object id, and groups; changes are seen by Graph and SharePoint at once.

    Attributes:
        people: by object id; deleted people are gone.
        groups: member ids by group id; a member may be another group.
        listeners: called with `added`, `removed`, `renamed`, `moved` and the person, after the
            change.
        version: grows with every change.
    """

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.groups: dict[str, set[str]] = {}
        self.listeners: list[Listener] = []
        self.version = 0
        self._by_upn: dict[str, str] = {}
        self._etags = 0
        self._serial = 0
        self._lock = threading.RLock()

    def by_upn(self, upn: str) -> Person | None:
        """The person with this user principal name, in any case."""
        return self.people.get(self._by_upn.get(upn.lower(), ""))

    def find(self, key: str) -> Person | None:
        """The person with this object id or user principal name."""
        return self.people.get(key.lower()) or self.by_upn(key)

    def add(self, person: Person) -> Person:
        """Add a person; a user principal name that is taken is refused.

        Raises:
            ValueError: the name or the id is taken.
        """
        with self._lock:
            if person.upn.lower() in self._by_upn or person.id in self.people:
                raise ValueError(f"{person.upn} exists already")
            self._serial += 1
            person.serial = self._serial
            self.people[person.id] = person
            self._by_upn[person.upn.lower()] = person.id
            self.version += 1
        self._tell("added", person)
        return person

    def remove(self, person_id: str) -> None:
        """Delete a person, and their membership of groups.

        Raises:
            KeyError: nobody has this id.
        """
        with self._lock:
            person = self.people.pop(person_id)
            del self._by_upn[person.upn.lower()]
            for members in self.groups.values():
                members.discard(person_id)
            self.version += 1
        self._tell("removed", person)

    def rename(self, person_id: str, upn: str) -> None:
        """Change a user principal name.

        Raises:
            KeyError: nobody has this id.
            ValueError: the name is taken.
        """
        with self._lock:
            person = self.people[person_id]
            if self._by_upn.get(upn.lower(), person_id) != person_id:
                raise ValueError(f"{upn} exists already")
            del self._by_upn[person.upn.lower()]
            person.upn = upn
            self._by_upn[upn.lower()] = person_id
            self.version += 1
        self._tell("renamed", person)

    def move(self, person_id: str, geo: str) -> None:
        """Move a person's My Site and profile to another geo: "" for the central one.

        Raises:
            KeyError: nobody has this id.
        """
        with self._lock:
            person = self.people[person_id]
            person.geo = geo
            self.version += 1
        self._tell("moved", person)

    def set_photo(self, person_id: str, data: bytes, content_type: str = "image/jpeg") -> Photo:
        """Give a person a new photo of any bytes; its etag is new even if the bytes are not.

        Raises:
            KeyError: nobody has this id.
        """
        return self.show(person_id, Picture.of(data, content_type))

    def show(self, person_id: str, picture: Picture) -> Photo:
        """Give a person a picture of the gallery.

        Raises:
            KeyError: nobody has this id.
        """
        with self._lock:
            photo = Photo(picture, self.new_etag())
            self.people[person_id].photo = photo
        return photo

    def remove_photo(self, person_id: str) -> None:
        """Take a person's photo away.

        Raises:
            KeyError: nobody has this id.
        """
        self.people[person_id].photo = None

    def new_etag(self) -> str:
        """A quoted etag as Graph's `@odata.mediaEtag`, never given before in this tenant."""
        with self._lock:
            self._etags += 1
            # Spread over the digits, so that nobody takes the order for a date.
            return f'"{self._etags * 2654435761 % 2**32:08X}"'

    def members(self, group_id: str) -> list[Person]:
        """People in a group and the groups in it, in listing order.

        Raises:
            KeyError: no such group.
        """
        seen, todo = set[str](), [group_id]
        found = dict[str, Person]()
        self.groups[group_id]
        while todo:
            key = todo.pop()
            if key in seen:
                continue
            seen.add(key)
            if key in self.groups:
                todo.extend(self.groups[key])
            elif key in self.people:
                found[key] = self.people[key]
        return sorted(found.values(), key=lambda person: person.serial)

    def _tell(self, event: str, person: Person) -> None:
        for listener in self.listeners:
            listener(event, person)
