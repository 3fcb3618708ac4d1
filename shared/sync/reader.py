"""Reads what a window needs: present names, profiles, photos; in the readers' threads.

Errors come back as values: of one user for this user, of a request about many for all of them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from itertools import batched

from shared.checkpoint import Record
from shared.errors import (
    DeadlineExceeded,
    HostUnavailable,
    PhotoSyncError,
    ServiceError,
    UserError,
)
from shared.graph import BATCH_SIZE, Graph, Seen, Unknown
from shared.http import Patience
from shared.log import InvocationLog
from shared.model import User
from shared.sharepoint import Profile, SharePoint
from shared.sync.health import Health
from shared.sync.plan import Fetch, Policy, Remove, Settled
from shared.sync.user_sync import Loaded, Prepared, UserSync

type Versions = Mapping[str, Seen] | PhotoSyncError
type LoadedUser = Loaded | Remove | Settled | Exception
type PreparedUser = Prepared | Settled | Exception


class Reader:
    """Asks Graph and SharePoint about many users at once.

    Args:
        graph: photo versions, names, photos.
        sharepoint: profiles.
        user_sync: what is read for one user.
        pool: threads.
        health: judges the services.
        log: of the invocation.
        ended: why nothing more should be asked; None while all is well.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        sharepoint: SharePoint,
        user_sync: UserSync,
        pool: Executor,
        health: Health,
        log: InvocationLog,
        ended: Callable[[], PhotoSyncError | None],
    ) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
        self._user_sync = user_sync
        self._pool = pool
        self._health = health
        self._log = log
        self._ended = ended

    def ask_versions(self, users: Sequence[User]) -> list[Future[Versions]]:
        """Begin to ask for photo versions, a batch a future."""
        return [
            self._pool.submit(self._versions, [user.id for user in batch])
            for batch in batched(users, BATCH_SIZE, strict=False)
        ]

    def names(self, users: Sequence[User]) -> dict[str, User | PhotoSyncError | None]:
        """Present names by id; None for whom the directory does not have.

        Names that are written to must be fresh: those of the listing may be a night old, and
        somebody else may have them by now.
        """

        def ask(batch: tuple[User, ...]) -> Mapping[str, User | PhotoSyncError | None]:
            if self._ended():
                return _for_all(batch, _END)
            try:
                return self._graph.users([user.id for user in batch])
            except PhotoSyncError as error:
                return _for_all(batch, error)

        found: dict[str, User | PhotoSyncError | None] = {}
        for part in self._pool.map(ask, batched(users, BATCH_SIZE, strict=False)):
            found.update(part)
        return found

    def profiles(self, users: Sequence[User]) -> dict[str, Profile | PhotoSyncError]:
        """Profiles by id of the user."""
        breaker = self._health.profiles

        def ask(batch: tuple[User, ...]) -> Mapping[str, Profile | PhotoSyncError]:
            if self._ended():
                return _for_all(batch, _END)
            try:
                found = self._sharepoint.profiles(batch)
            except PhotoSyncError as error:
                breaker.failed(error, [user.id for user in batch])
                return _for_all(batch, error)
            for user_id, profile in found.items():
                if isinstance(profile, ServiceError):
                    breaker.failed(profile, [user_id])
                else:
                    breaker.succeeded()
            return found

        found: dict[str, Profile | PhotoSyncError] = {}
        for part in self._pool.map(ask, batched(users, BATCH_SIZE, strict=False)):
            found.update(part)
        return found

    def load(
        self,
        wanted: Sequence[tuple[User, Record | None, Fetch]],
        policy: Policy,
        patience: Callable[[str], Patience],
    ) -> dict[str, LoadedUser]:
        """What the photos of these users lead to, by id."""

        def load(one: tuple[User, Record | None, Fetch]) -> LoadedUser:
            user, record, fetch = one
            if self._ended():
                return _END
            try:
                loaded = self._user_sync.load(user, record, fetch, policy, patience(user.id))
            except PhotoSyncError as error:
                if isinstance(error, ServiceError):
                    self._health.photos.failed(error, [user.id])
                elif isinstance(error, UserError):
                    self._health.photos.succeeded()
                return error
            except Exception as error:  # noqa: BLE001 - a bug met by one user is not the end
                self._log.add(logging.ERROR, f"user {user.id}: internal error", error=error)
                return error
            self._health.photos.succeeded()
            return loaded

        ids = [user.id for user, _, _ in wanted]
        return dict(zip(ids, self._pool.map(load, wanted), strict=True))

    def prepare(
        self,
        wanted: Sequence[tuple[User, Record | None, Loaded, Profile]],
        policy: Policy,
        patience: Callable[[str], Patience],
    ) -> dict[str, PreparedUser]:
        """What is to be written for these users, by id."""

        def prepare(one: tuple[User, Record | None, Loaded, Profile]) -> PreparedUser:
            user, record, loaded, profile = one
            if self._ended():
                return _END
            breaker = self._health.pictures(profile.host)
            try:
                self._health.require(profile.host)
            except HostUnavailable as error:
                # Nothing was asked.
                return error
            try:
                ready = self._user_sync.prepare(
                    user, record, loaded, profile, policy=policy, patience=patience(user.id)
                )
            except PhotoSyncError as error:
                breaker.failed(error, [user.id])
                return error
            except Exception as error:  # noqa: BLE001 - a bug met by one user is not the end
                self._log.add(logging.ERROR, f"user {user.id}: internal error", error=error)
                return error
            if isinstance(ready, Settled) or ready.compared:
                # Only then SharePoint was asked.
                breaker.succeeded()
            return ready

        ids = [user.id for user, *_ in wanted]
        return dict(zip(ids, self._pool.map(prepare, wanted), strict=True))

    def _versions(self, user_ids: Sequence[str]) -> Versions:
        breaker = self._health.versions
        if self._ended():
            return _END
        try:
            seen = self._graph.photo_versions(user_ids)
        except PhotoSyncError as error:
            breaker.failed(error, user_ids)
            return error
        if any(not isinstance(answer, Unknown) for answer in seen.values()):
            # First of all: one poisoned user beside others that were answered is no outage.
            breaker.succeeded()
        for user_id, answer in seen.items():
            if isinstance(answer, Unknown):
                breaker.failed(answer.error, [user_id])
        return seen


_END = DeadlineExceeded("the run has to end")
"""For users whose turn came after the run had to end; why is told elsewhere."""


def _for_all[T](users: Sequence[User], answer: T) -> dict[str, T]:
    return {user.id: answer for user in users}
