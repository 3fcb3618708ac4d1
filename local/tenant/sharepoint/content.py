"""What SharePoint holds: profiles and picture libraries of all geos, and what they show."""

import threading
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from local.tenant.directory import Directory, Person
from local.tenant.http import Clock
from local.tenant.quirks import Quirks
from local.tenant.sharepoint.library import LIBRARY, Library
from local.tenant.sharepoint.odata import ServiceError
from local.tenant.sharepoint.profiles import (
    CENTRAL,
    PICTURE_URL,
    PLACEHOLDER_STATE,
    Profiles,
    geo_of,
)
from local.tenant.sharepoint.seeding import seed
from local.tenant.sharepoint.site import GEO_OF_ORIGIN, MYSITE_OF_GEO


class Estate:
    """Profiles and files, filled at the first look with what was there before anybody synced.

    Args:
        directory: who exists; new people get a profile, renamed ones keep theirs.
        clock: the tenant's.
        origins: URL of an origin; called at the first look and later, never before.
        quirks: whether and how the picture library exists.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        clock: Clock,
        origins: Callable[[str], str],
        quirks: Quirks,
    ) -> None:
        self._directory = directory
        self._origins = origins
        self._quirks = quirks
        self._libraries = {origin: Library(clock=clock) for origin in GEO_OF_ORIGIN}
        self._profiles = Profiles(
            directory=directory,
            mysite=lambda geo: origins(MYSITE_OF_GEO[geo]),
            quirks=quirks,
        )
        self._seeded = False
        self._seeding = threading.Lock()
        directory.listeners.append(self._on_directory)

    @property
    def profiles(self) -> Profiles:
        """The profile stores."""
        self.seed()
        return self._profiles

    @property
    def library(self) -> dict[str, Library]:
        """The files of each My Site host, by origin."""
        self.seed()
        return {origin: self._libraries[origin] for origin in MYSITE_OF_GEO.values()}

    def profile(self, person_id: str) -> dict[str, str]:
        """All profile properties of a person, in their own geo. Raises KeyError for nobody."""
        return self.profiles.properties(self._directory.people[person_id])

    def files(self, origin: str = "mysite") -> dict[str, bytes]:
        """Every file of a My Site host by its decoded, server-relative path."""
        return self.library[origin].contents()

    def shown_picture(self, person_id: str, size: str = "M") -> bytes | None:
        """What a page shows of a person: the S, M or L file behind `PictureURL`.

        None while the placeholder is shown, for a URL outside of the person's own My Site host,
        and when the file is missing. Raises KeyError for nobody.
        """
        person = self._directory.people[person_id]
        values = self.profile(person_id)
        origin = MYSITE_OF_GEO[geo_of(person)]
        url = urlsplit(values[PICTURE_URL])
        if values[PLACEHOLDER_STATE] != "0" or f"{url.scheme}://{url.netloc}" != self._origins(
            origin
        ):
            return None
        path = unquote(url.path).replace("_MThumb.", f"_{size}Thumb.")
        try:
            return self._libraries[origin].file(path).content
        except ServiceError:
            return None

    def seed(self) -> None:
        """Put into profiles and libraries what was there before; needs the URLs of the hosts.

        Happens by itself at the first request or look.
        """
        with self._seeding:
            if self._seeded:
                return
            for origin in MYSITE_OF_GEO.values():
                second = origin != MYSITE_OF_GEO[CENTRAL]
                if self._quirks.library_exists and (self._quirks.second_geo_library or not second):
                    self._libraries[origin].create_library()
                    if self._quirks.folder_exists:
                        folder = f"{LIBRARY}/{self._quirks.folder_name}"
                        self._libraries[origin].create_folder(folder)
            for person in list(self._directory.people.values()):
                self._seed_person(person)
            self._seeded = True

    def _seed_person(self, person: Person) -> None:
        origin = MYSITE_OF_GEO[geo_of(person)]
        seed(
            person,
            profiles=self._profiles,
            library=self._libraries[origin],
            mysite=self._origins(origin),
            folder=self._quirks.folder_name,
        )

    def _on_directory(self, event: str, person: Person) -> None:
        with self._seeding:
            if event == "removed":
                self._profiles.forget(person)
            elif event == "moved":
                self._profiles.move(person)
            elif event == "added" and self._seeded:
                self._seed_person(person)
