"""What happens in a tenant from day to day, and what goes wrong at night; all from one seed."""

import random
import uuid
from collections.abc import Iterator

from local.tenant import Fault, Person
from local.tenant.population import FULL_LICENCE
from tests.support.history_oracle import Judge
from tests.support.world import World

_NEW_PHOTOS = 0.01
_PHOTOS_GONE = 0.002
_FIRST_PHOTOS = 0.01
_COMING = 0.002
_GOING = 0.002
_RENAMED = 0.001
_LICENCES = 0.002
_EDITED = 0.001
_OPERATIONS = (
    *("users.list", "photo.batch", "photo.bytes", "profile.batch", "file.upload"),
    *("profile.write", "file.read", "file.recycle"),
)


class Life:
    """Changes people.

    Args:
        world: where they live.
        judge: is told what the program cannot know.
        rng: decides.
    """

    def __init__(self, world: World, judge: Judge, rng: random.Random) -> None:
        self._world = world
        self._judge = judge
        self._rng = rng
        self._directory = world.tenant.directory
        self._gallery = world.tenant.population.gallery
        self._comers = 0

    def day(self) -> None:
        """Photos change, people come, go and marry, licences move, somebody edits by hand."""
        for person in self._some(_NEW_PHOTOS, having=True):
            self._show(person)
        for person in self._some(_PHOTOS_GONE, having=True):
            self._directory.remove_photo(person.id)
        for person in self._some(_FIRST_PHOTOS, having=False):
            self._show(person)
        for person in self._some(_GOING):
            self._directory.remove(person.id)
        for person in self._some(_COMING):
            self._come(person)
        for person in self._some(_RENAMED):
            self._comers += 1
            self._directory.rename(person.id, f"renamed{self._comers}@contoso.com")
        for person in self._some(_LICENCES):
            person.plans = [] if person.plans else FULL_LICENCE
            self._directory.version += 1
        for person in self._some(_EDITED):
            if person.has_profile:
                hidden = {"SPS-PicturePlaceholderState": "1"}
                self._world.tenant.sharepoint.profiles.put(person, hidden)
                self._judge.edited(person.id)
        self._judge.look()
        self._world.clock.advance(60)

    def faults(self) -> list[Fault]:
        """Some for one night."""
        return [self._fault() for _ in range(self._rng.choice((1, 2, 5, 10)))]

    def _fault(self) -> Fault:
        rng = self._rng
        return Fault(
            rng.choice(
                (
                    *("status", "status", "status", "timeout_before", "timeout_after", "reset"),
                    *("truncate", "item_status", "item_missing", "error_info", "token_rejected"),
                )
            ),
            operation=rng.choice(_OPERATIONS),
            nth=rng.choice((None, rng.randrange(50))),
            times=rng.choice((1, 1, 3, 8, 100)),
            status=rng.choice((429, 429, 500, 503, 504)),
            retry_after=rng.choice((None, 5.0, 120.0)),
            body=rng.choice(("json", "html", "empty")),
        )

    def _some(self, share: float, *, having: bool | None = None) -> Iterator[Person]:
        """At least one person, of those who have a photo or not."""
        people = [
            person
            for person in list(self._directory.people.values())
            if having is None or (person.photo is not None) is having
        ]
        number = max(1, round(share * len(people)))
        yield from self._rng.sample(people, min(number, len(people)))

    def _show(self, person: Person) -> None:
        self._directory.show(person.id, self._gallery.portrait(self._rng.randrange(1000)))

    def _come(self, like: Person) -> None:
        self._comers += 1
        person = Person(
            id=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            upn=f"new{self._comers}@contoso.com",
            display_name="New",
            mail=f"new{self._comers}@contoso.com",
            account_enabled=True,
            user_type="Member",
            plans=FULL_LICENCE,
            photo=None,
            has_profile=self._rng.random() < 0.9,  # noqa: PLR2004 - most have one at once
            geo="",
            existing="none",
            department=like.department,
        )
        self._directory.add(person)
        self._show(person)
