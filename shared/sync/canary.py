"""Does for a healthy user what failed for others, before a service is judged by who fails.

Reading is tried with a healthy user's version, photo, profile or file. Where writing failed, what
the healthy user's record claims is written once more: the same properties, or a thumbnail of the
same photo, made anew, because what SharePoint answers may be damaged. So nothing changes, and what
cannot be written for anybody shows. The record is withdrawn meanwhile, as for every other write: so
a call that changes the same user's picture at that moment is noticed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from shared.checkpoint import Checkpoint, Photo, Record, Shard, iso, shard_of
from shared.clock import Clock
from shared.errors import PhotoSyncError, ProfileMissing, ServiceError, StateConflict
from shared.graph import Graph, Unknown
from shared.http import Patience
from shared.model import User
from shared.photos import Thumbnails
from shared.sharepoint import Profile, SharePoint
from shared.sync.circuit_breaker import Canary
from shared.sync.health import PHOTOS, PROFILES, VERSIONS
from shared.sync.user_sync import UserSync

TRIES = 3
"""Healthy users who are asked about, one after the other, until one answer is good."""

PATIENCE_SECONDS = 10.0

_UPLOAD = "/Files/AddUsingPath"
_PROFILE_WRITES = ("/ProcessQuery", "SetSingleValueProfileProperty")
"""Parts of URLs by which an error tells what failed."""


class Canaries:
    """Makes canaries from the records that are loaded.

    Args:
        graph, sharepoint: asked.
        checkpoint: the records; a read-only one for a dry run.
        clock: of the program.
        sizes: longest sides of S, M, L in pixels.
    """

    def __init__(
        self,
        graph: Graph,
        sharepoint: SharePoint,
        checkpoint: Checkpoint,
        clock: Clock,
        sizes: tuple[int, int, int],
    ) -> None:
        self._user_sync = UserSync(graph, sharepoint, sizes)
        self._graph = graph
        self._sharepoint = sharepoint
        self._checkpoint = checkpoint
        self._clock = clock
        self.shards: Callable[[], Mapping[str, Shard]] = dict
        """Where healthy users are looked for."""

    def canary(self, work: str, host: str) -> Canary:
        """The canary of a kind of work (and a host, "" where there is none)."""
        ask = {
            VERSIONS: self._version,
            PHOTOS: self._photo,
            PROFILES: self._profile,
        }.get(work, self._file)

        def sing(error: PhotoSyncError, suspects: Collection[str]) -> bool | None:
            answers = (
                self._is_answered(ask, user_id, record, error)
                for user_id, record in islice(self._healthy(host, suspects), TRIES)
            )
            return _any(answers)

        return sing

    def _healthy(self, host: str, suspects: Collection[str]) -> Iterator[tuple[str, Record]]:
        """Who has a picture of ours on the host; who met trouble in this firing comes last."""
        healthy = [
            (user_id, record)
            for shard in list(self.shards().values())
            for user_id, record in list(shard.records.items())
            if _is_healthy(record, host)
        ]
        yield from (found for found in healthy if found[0] not in suspects)
        yield from (found for found in healthy if found[0] in suspects)

    def _is_answered(
        self,
        ask: Callable[[str, Record, PhotoSyncError, Patience], bool | None],
        user_id: str,
        record: Record,
        error: PhotoSyncError,
    ) -> bool | None:
        """Whether the answer is good; None when the user cannot tell."""
        try:
            return ask(user_id, record, error, Patience(PATIENCE_SECONDS, self._clock))
        except PhotoSyncError:
            # Also no time, no token, no lease: that is judged where it happens.
            return False

    def _version(self, user_id: str, _: Record, __: PhotoSyncError, ___: Patience) -> bool:
        return not isinstance(self._graph.photo_versions([user_id])[user_id], Unknown)

    def _photo(self, user_id: str, _: Record, __: PhotoSyncError, patience: Patience) -> bool:
        self._graph.photo(user_id, patience)
        return True

    def _profile(self, user_id: str, _: Record, __: PhotoSyncError, ___: Patience) -> bool:
        user = self._present(user_id)
        return user is not None and isinstance(
            self._sharepoint.profiles([user])[user_id], Profile | ProfileMissing
        )

    def _present(self, user_id: str) -> User | None:
        user = self._graph.users([user_id])[user_id]
        return user if isinstance(user, User) else None

    def _file(
        self, user_id: str, record: Record, error: PhotoSyncError, patience: Patience
    ) -> bool | None:
        if record.photo is None:
            return None
        location = record.photo.location
        failed = error.evidence.url if isinstance(error, ServiceError) else ""
        if any(name in failed for name in _PROFILE_WRITES):
            user = self._present(user_id)
            if user is None:
                return None
            upn = user.upn
            return self._write(
                user_id, record.photo, lambda: self._sharepoint.show(upn, location, patience)
            )
        if _UPLOAD in failed:
            images = self._thumbnails(user_id, record.photo, patience)
            if images is None:
                return None
            return self._write(
                user_id,
                record.photo,
                lambda: self._sharepoint.upload(location, "M", images.medium, patience),
            )
        self._sharepoint.thumbnail(location, "M", patience)
        return True

    def _thumbnails(self, user_id: str, photo: Photo, patience: Patience) -> Thumbnails | None:
        """What the record claims, made anew; None when Exchange does not give that photo."""
        try:
            return self._user_sync.thumbnails(user_id, photo.sha256, patience)
        except PhotoSyncError:
            # That tells nothing about SharePoint.
            return None

    def _write(self, user_id: str, photo: Photo, write: Callable[[], None]) -> bool | None:
        """Write while the record claims nothing; None when another writer is at this user."""
        checkpoint = self._checkpoint
        shard = checkpoint.load(shard_of(user_id))
        record = shard.records.get(user_id)
        if record is None or record.photo != photo:
            return None
        now = iso(self._clock.time())
        withdrawn = replace(record, photo=photo.withdrawn(), checked_at=now)
        shard, disputed = checkpoint.save(shard, {user_id: withdrawn})
        if disputed:
            return None
        try:
            write()
        finally:
            # What was written is what was there, so a write that failed changed nothing either. But
            # where somebody saved this shard meanwhile, they may have seen the withdrawn record and
            # be writing now: then nobody claims anything, and the next run looks.
            try:
                checkpoint.save(shard, {user_id: record}, attempts=1)
            except StateConflict:
                checkpoint.save(shard, {user_id: withdrawn})
        return True


def _is_healthy(record: Record, host: str) -> bool:
    photo = record.photo
    if photo is None or not record.claims or record.failing or record.missing:
        return False
    return not host or photo.location.host == host


def _any(answers: Iterator[bool | None]) -> bool | None:
    """Whether one is good; None when there is none at all."""
    found = False
    for good in answers:
        if good:
            return True
        found = found or good is not None
    return False if found else None
