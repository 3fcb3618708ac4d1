"""Who works in an emulated tenant: generated people, the same for the same seed."""

import random
import uuid
from dataclasses import dataclass

from local.tenant.directory import Directory, Person, Photo
from local.tenant.pictures import Gallery, Picture
from local.tenant.quirks import Quirks

#: Up to so many people everybody has a portrait of their own.
DISTINCT = 1000
POOL = 64

_FIRST = (
    "     Adele     Alex     Anna     Aylin     Bert     Björn     Camille     Chen     Diego "
    "Elif     Emeka     Fatima     Femke     Giulia     Hanna     Henk     Ines     Ivan "
    "Jana     João     Kaito     Karin     Lars     Léa     Lidia     Luca     Maja     Megan "
    "Mehmet     Mia     Nadia     Nils     Noor     Olga     Omar     Paul     Priya "
    "Quinn     Ravi     Rosa     Samir     Søren     Tara     Tomás     Uma     Vera     Wout "
    "Xenia     Yusuf     Zoë"
)
_LAST = (
    "     Adams     Bakker     Berg     Costa     Demir     Dubois     Fischer     García "
    "Haas     Hansen     Ito     Jansen     Kowalska     Kumar     Larsen     Lindqvist "
    "Martin     Meyer     Moreau     Nagy     Novak     Okafor     Peters     Petrov "
    "Quist     Rossi     Santos     Schmidt     Silva     Smit     Tanaka     Thomas     Ünal "
    "Vance     Visser     Weber     Wilber         Young     Zhang"
)
_DEPARTMENTS = ("Finance", "Legal", "Operations", "Research", "Sales")

_ASSIGNED = "2025-10-08T20:50:43Z"


def plan(service: str, plan_id: str, status: str = "Enabled") -> dict[str, str]:
    """An assigned plan as Graph returns it."""
    return {
        "assignedDateTime": _ASSIGNED,
        "capabilityStatus": status,
        "service": service,
        "servicePlanId": plan_id,
    }


_EXCHANGE = "efb87545-963c-4e0d-99df-69c6916d9eb0"
_KIOSK = "4a82b400-a79f-41a4-b4e2-e94f5787b113"
_FOUNDATION = "113feb6c-3fe4-4440-bddc-54d774bf0318"
_SHAREPOINT = plan("SharePoint", "5dbe027f-2339-4123-9542-606e4d348a72")

FULL_LICENCE = [plan("exchange", _EXCHANGE), _SHAREPOINT]
_PLANS = {
    "full": FULL_LICENCE,
    "kiosk": [plan("exchange", _KIOSK), _SHAREPOINT],
    "foundation": [plan("exchange", _FOUNDATION), plan("PowerBI", str(uuid.UUID(int=1)))],
    "suspended": [plan("exchange", _EXCHANGE, "Suspended"), _SHAREPOINT],
    "warning": [plan("exchange", _EXCHANGE, "Warning"), _SHAREPOINT],
    "no-exchange": [_SHAREPOINT],
    "none": [],
}


@dataclass(frozen=True, slots=True)
class Role:
    """What one person of the cast stands for; see `Person` for the fields.

    Attributes:
        photo: `portrait`, `none`, or a name of the gallery's odd pictures.
        local: the part of the user principal name before the @, when it matters.
        domain: the part after it.
        plans: key of the licences above.
        typeless: `userType` is null, as of accounts from before 2014.
    """

    kind: str = ""
    photo: str = "portrait"
    local: str = ""
    domain: str = ""
    name: str = ""
    plans: str = "full"
    enabled: bool = True
    guest: bool = False
    typeless: bool = False
    profile: bool = True
    existing: str = "none"


_ORDINARY = Role()
#: The first people of a mixed tenant: between them they have every kind.
CAST: tuple[Role, ...] = (
    Role("ordinary"),
    Role("nothing there yet", existing="none"),
    Role("natively synced, old names", existing="upn-prefix"),
    Role("natively synced, new names", existing="id-prefix"),
    Role("picture elsewhere", existing="foreign-url"),
    Role("placeholder", existing="placeholder"),
    Role("no photo", photo="none"),
    Role("no photo, old picture", photo="none", existing="upn-prefix"),
    Role("no profile", profile=False),
    Role("no photo, no profile", photo="none", profile=False),
    *(Role(f"orientation {tag}", photo=f"orientation-{tag}") for tag in range(1, 9)),
    Role("wide photo", photo="wide"),
    Role("tall photo", photo="tall"),
    Role("4 MB photo", photo="large"),
    Role("CMYK photo", photo="cmyk"),
    Role("grey photo", photo="grey"),
    Role("palette PNG", photo="palette"),
    Role("transparent PNG", photo="alpha"),
    Role("16-bit PNG", photo="deep"),
    Role("16x16 photo", photo="tiny"),
    Role("1x1 photo", photo="dot"),
    Role("240x240 photo", photo="medium"),
    Role("broken bytes", photo="broken"),
    Role("truncated JPEG", photo="truncated"),
    Role("decompression bomb", photo="bomb"),
    Role("HTML for an image", photo="html", existing="id-prefix"),
    Role("apostrophe", local="miles.o'brien", name="Miles O'Brien"),
    Role("hash", local="c#coder", name="Ada C#"),
    Role("ampersand", local="q&a", name="Quinn & Anders"),
    Role("plus", local="nina+photos", name="Nina Plus"),
    Role("percent", local="100%25effort", name="Percy Hundred"),
    Role("letters", local="łukasz.żółć", name="Łukasz Żółć"),
    Role("upper case", local="SHOUT.LOUD", name="Shout Loud"),
    Role(
        "long name",
        local="maria.del.carmen.fernandez.de.la.vega.y.gutierrez.de.los.monteros",
        name="María del Carmen Fernández de la Vega y Gutiérrez de los Monteros",
    ),
    Role("looks like a.b", local="kim.lee", existing="upn-prefix", name="Kim Lee"),
    Role("looks like a_b", local="kim_lee", existing="id-prefix", name="Kim Lee"),
    Role("guest", guest=True, plans="none", photo="none", profile=False),
    Role("licensed guest", guest=True),
    Role("sign-in blocked", enabled=False),
    Role("no Exchange plan", plans="no-exchange", photo="none"),
    Role("no Exchange plan, photo", plans="no-exchange"),
    Role("no licence", plans="none", photo="none", profile=False),
    Role("plan without mailbox", plans="foundation", photo="none"),
    Role("kiosk", plans="kiosk"),
    Role("suspended", plans="suspended"),
    Role("grace", plans="warning"),
    Role("oldest account", typeless=True),
)
#: The rest, by weight.
_REST: tuple[tuple[int, Role], ...] = (
    (38, _ORDINARY),
    (8, Role("natively synced, old names", existing="upn-prefix")),
    (8, Role("natively synced, new names", existing="id-prefix")),
    (3, Role("placeholder", existing="placeholder")),
    (2, Role("picture elsewhere", existing="foreign-url")),
    (28, Role("no photo", photo="none")),
    (2, Role("no photo, old picture", photo="none", existing="id-prefix")),
    (1, Role("no profile", profile=False)),
    (3, Role("guest", guest=True, plans="none", photo="none", profile=False)),
    (1, Role("sign-in blocked", enabled=False)),
    (2, Role("no Exchange plan", plans="no-exchange", photo="none")),
    (1, Role("wide photo", photo="wide")),
    (1, Role("tall photo", photo="tall")),
    (1, Role("240x240 photo", photo="medium")),
    (1, Role("transparent PNG", photo="alpha")),
)


class Population:
    """Makes the people of one tenant.

    Args:
        directory: where they are added.
        users: how many.
        seed: of everything.
        name: of the tenant, for mail domains.
        plain: everybody is an ordinary member with mailbox, profile and a good photo.
        quirks: whether some live in a second geo.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        users: int,
        seed: int,
        name: str,
        plain: bool,
        quirks: Quirks,
    ) -> None:
        self.gallery = Gallery(seed, users if users <= DISTINCT else POOL)
        self._directory = directory
        self._domain = f"{name}.com"
        self._guest_domain = f"{name}.onmicrosoft.com"
        self._quirks = quirks
        self._rng = random.Random(seed)
        self._first, self._last = _FIRST.split(), _LAST.split()
        self._weights = [weight for weight, _ in _REST]
        self._roles = [role for _, role in _REST]
        for number in range(users):
            self._add(number, _ORDINARY if plain else self._role(number))

    def change(self, count: int, seed: int) -> list[str]:
        """Replace the photos of some people who have one; the ids of these people."""
        rng = random.Random(seed)
        having = [person for person in self._directory.people.values() if person.photo is not None]
        chosen = rng.sample(having, min(count, len(having)))
        fresh = Gallery(rng.getrandbits(32), max(len(chosen), 1))
        for number, person in enumerate(chosen):
            self._directory.show(person.id, fresh.portrait(number, _initials(person.display_name)))
        return [person.id for person in chosen]

    def _role(self, number: int) -> Role:
        if number < len(CAST):
            return CAST[number]
        return self._rng.choices(self._roles, self._weights)[0]

    def _add(self, number: int, role: Role) -> None:
        rng = self._rng
        person_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        name = role.name or f"{rng.choice(self._first)} {rng.choice(self._last)}"
        local = role.local or f"{_ascii(name)}{number}"
        upn = f"{local}@{self._domain}"
        mail = upn
        if role.guest:
            mail = f"{local}@fabrikam.com"
            upn = f"{local}_fabrikam.com#EXT#@{self._guest_domain}"
        if not role.kind and number % 10 == 3:  # noqa: PLR2004 - some have another address
            mail = f"{person_id[:8]}@{self._domain}"
        picture = self._picture(number, role, name)
        self._directory.add(
            Person(
                id=person_id,
                upn=upn,
                display_name=name,
                mail=mail,
                account_enabled=role.enabled,
                user_type=None if role.typeless else "Guest" if role.guest else "Member",
                plans=_PLANS[role.plans],
                photo=Photo(picture, self._directory.new_etag()) if picture else None,
                has_profile=role.profile,
                geo="EUR" if self._quirks.second_geo and number % 10 == 0 else "",
                existing=role.existing if role.profile else "none",
                department=_DEPARTMENTS[number % len(_DEPARTMENTS)],
                kind=role.kind or "ordinary",
            )
        )

    def _picture(self, number: int, role: Role, name: str) -> Picture | None:
        if role.photo == "none":
            return None
        if role.photo == "portrait":
            return self.gallery.portrait(number, _initials(name))
        return self.gallery.odd[role.photo]


def _initials(name: str) -> str:
    return "".join(part[0] for part in name.split() if part[0].isalpha())[:2].upper()


def _ascii(name: str) -> str:
    table = str.maketrans("öüéèëãøïíıáÜç ", "oueeeaoiiiaUc.")
    return name.translate(table).lower()
