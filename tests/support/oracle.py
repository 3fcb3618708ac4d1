"""What SharePoint should show, judged by the directory alone, and what records may claim of it.

Knows nothing of how the program came to its result: it looks at the emulated tenant and at the
blobs, never at the program's memory.
"""

import hashlib
from urllib.parse import unquote

from local.tenant import Person
from shared.checkpoint import Record, Run
from shared.errors import InvalidPhoto
from shared.model import ThumbnailLocation
from shared.photos import Thumbnails, render
from tests.support.world import World, outcomes

SIZES = (48, 96, 300)
_EXCHANGE_SIDE = 648
_digests: dict[tuple[int, int], tuple[bytes, str]] = {}
_rendered: dict[str, Thumbnails | None] = {}


def served(person: Person) -> bytes | None:
    """What Exchange gives of a person's photo: at most 648 pixels wide or high."""
    return person.photo.picture.rendition(_EXCHANGE_SIDE) if person.photo else None


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal; computed once for each object, which is kept."""
    kept, known = _digests.setdefault((id(data), len(data)), (data, ""))
    if not known:
        known = hashlib.sha256(kept).hexdigest()
        _digests[id(data), len(data)] = kept, known
    return known


def thumbnails(data: bytes) -> Thumbnails | None:
    """The three files that belong to a photo; None when it cannot be used."""
    key = digest(data)
    if key not in _rendered:
        try:
            _rendered[key] = render(data, SIZES)
        except InvalidPhoto:
            _rendered[key] = None
    return _rendered[key]


def is_in_scope(person: Person) -> bool:
    """Whether the default filter means this person."""
    mailbox = any(
        plan["service"] == "exchange" and plan["capabilityStatus"] in {"Enabled", "Warning"}
        for plan in person.plans
    )
    return person.account_enabled and person.user_type != "Guest" and mailbox


class Oracle:
    """Remembers what was there before the program's first write.

    Make it right after the world; of a settled one it knows what was there before.

    Args:
        world: to judge.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tenant = world.tenant
        self._before = world.files() if world.files_before is None else world.files_before
        self.photos: dict[str, bytes] = {}
        self.look()

    def look(self) -> None:
        """Remember the photos of today, so that a claim about one of them can be judged later."""
        for person in self._tenant.directory.people.values():
            data = served(person)
            if data is not None:
                self.photos.setdefault(digest(data), data)

    def people(self) -> list[Person]:
        """Everybody in scope."""
        return [p for p in self._tenant.directory.people.values() if is_in_scope(p)]

    def shown(self, person_id: str) -> dict[str, bytes | None]:
        """What SharePoint shows of a person, by size."""
        return {size: self._tenant.sharepoint.shown_picture(person_id, size) for size in "SML"}

    def wrong(self) -> dict[str, str]:
        """People in scope for whom SharePoint does not show what Exchange holds, and why."""
        return {p.upn: why for p in self.people() if p.has_profile and (why := self._wrong(p))}

    def false_claims(self) -> list[str]:
        """Records that claim a picture which SharePoint does not hold or does not show."""
        self.look()
        files = self._world.files()
        return [
            record.upn
            for user_id, record in self._world.records().items()
            if record.photo and record.photo.sha256 and not self._is_true(user_id, record, files)
        ]

    def orphans(self) -> list[str]:
        """Files that the program made and that no record knows."""
        known = {
            path
            for record in self._world.records().values()
            if record.photo
            for path in _paths(record.photo.location)
        }
        return [
            path
            for path, content in self._world.files().items()
            if self._before.get(path) != content and path not in known
        ]

    def verify(self, run: Run, *, broken: int = 0) -> None:
        """After a clean run: converged, honest, tidy, and every user in exactly one count.

        Args:
            run: how it ended.
            broken: documents that the test has broken, of which a copy is kept.
        """
        assert (run.status, run.reason) == ("completed", "")
        assert self.wrong() == {}
        assert self.false_claims() == []
        assert self.orphans() == []
        assert len(self._world.blobs("broken/")) == broken
        assert sum(outcomes(run).values()) == run.listed == len(self.people())

    def _wrong(self, person: Person) -> str:
        data = served(person)
        shown = self.shown(person.id)
        if self._names_a_file_that_is_gone(person):
            return "names a file that is gone"
        if data is None:
            ours = any(content not in (None, *self._before.values()) for content in shown.values())
            return "still shows a photo that is gone" if ours else ""
        wanted = thumbnails(data)
        if wanted is None:
            return ""
        if shown != {"S": wanted.small, "M": wanted.medium, "L": wanted.large}:
            return "shows nothing" if shown["M"] is None else "shows something else"
        return ""

    def _names_a_file_that_is_gone(self, person: Person) -> bool:
        """A browser shows a broken image then, whatever SharePoint's emulation makes of it.

        Only of the library of photos: what another program names elsewhere is not ours to judge.
        """
        profile = self._tenant.sharepoint.profile(person.id)
        url = unquote(profile.get("PictureURL", ""))
        visible = profile.get("SPS-PicturePlaceholderState", "0") in {"", "0"}
        return "/User Photos/" in url and visible and url not in self._world.files()

    def _is_true(self, user_id: str, record: Record, files: dict[str, bytes]) -> bool:
        photo = record.photo
        assert photo
        wanted = thumbnails(self.photos[photo.sha256])
        assert wanted
        held = [files.get(path) for path in _paths(photo.location)]
        if held != [wanted.small, wanted.medium, wanted.large]:
            return False
        if user_id not in self._tenant.directory.people:
            return True  # the profile went with the user
        profile = self._tenant.sharepoint.profile(user_id)
        state = profile["SPS-PicturePlaceholderState"]
        return (profile["PictureURL"], state) == (photo.location.picture_url, "0")


def _paths(location: ThumbnailLocation) -> list[str]:
    return [f"{location.host}{location.path(size)}" for size in "SML"]
