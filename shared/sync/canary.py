"""Asks a service about somebody with whom all was well, before it is judged by who fails."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from shared.checkpoint import Record, Shard
from shared.clock import Clock
from shared.errors import PhotoSyncError, ProfileMissing, ServiceError
from shared.graph import Graph, Unknown
from shared.http import Patience
from shared.model import User
from shared.sharepoint import Profile, SharePoint
from shared.sync.circuit_breaker import Canary
from shared.sync.health import PHOTOS, PROFILES, VERSIONS

TRIES = 3
"""Healthy users who are asked about, one after the other, until one answer is good."""

PATIENCE_SECONDS = 10.0


class Canaries:
    """Makes canaries from the records that are loaded.

    Args:
        graph, sharepoint: asked.
        clock: of the program.
    """

    def __init__(self, graph: Graph, sharepoint: SharePoint, clock: Clock) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
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

        def sing() -> bool | None:
            answers = (
                self._is_answered(ask, user_id, record)
                for user_id, record in islice(self._healthy(host), TRIES)
            )
            return _any(answers)

        return sing

    def _healthy(self, host: str) -> Iterator[tuple[str, Record]]:
        for shard in list(self.shards().values()):
            for user_id, record in list(shard.records.items()):
                photo = record.photo
                if photo and record.claims and not record.failing and not record.missing:
                    if not host or photo.location.host == host:
                        yield user_id, record

    def _is_answered(
        self, ask: Callable[[str, Record, Patience], bool], user_id: str, record: Record
    ) -> bool:
        try:
            return ask(user_id, record, Patience(PATIENCE_SECONDS, self._clock))
        except ServiceError:
            return False
        except PhotoSyncError:
            # No time, no token, no state: that is judged where it happens.
            return False

    def _version(self, user_id: str, _: Record, __: Patience) -> bool:
        return not isinstance(self._graph.photo_versions([user_id])[user_id], Unknown)

    def _photo(self, user_id: str, _: Record, patience: Patience) -> bool:
        self._graph.photo(user_id, patience)
        return True

    def _profile(self, user_id: str, _: Record, __: Patience) -> bool:
        present = self._graph.users([user_id])[user_id]
        if not isinstance(present, User):
            return False
        found = self._sharepoint.profiles([present])[user_id]
        return isinstance(found, Profile | ProfileMissing)

    def _file(self, _: str, record: Record, patience: Patience) -> bool:
        if record.photo is None:
            return False
        self._sharepoint.thumbnail(record.photo.location, "M", patience)
        return True


def _any(answers: Iterator[bool]) -> bool | None:
    """Whether one is good; None when there is none at all."""
    found = False
    for good in answers:
        if good:
            return True
        found = True
    return False if found else None
