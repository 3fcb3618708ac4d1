"""What an error means for a user of a run: its end, another try, or their outcome."""

from collections.abc import Callable

from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PhotoSyncError,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
)
from shared.model import Outcome, User
from shared.sync.health import Health
from shared.sync.plan import Policy, Settled
from shared.sync.shards import Shards
from shared.sync.user_sync import failure
from shared.sync.window import Window

DISPUTED = Settled(
    Outcome.FAILED,
    "another call kept changing this user's picture during the run. Nothing to do: the next run "
    "tries again",
)

_ENDS_THE_RUN = (ConfigurationError, TokenUnavailable, StateError)


class FailureHandler:
    """Remembers why a run has to end, and who needs another try.

    Args:
        health: judges the services.
        shards: the records in memory.
        policy: of the run, at this moment.

    Attributes:
        put_aside: users whose request failed; they are to be tried once more.
        deferred: users who were not finished, because the run has to end.
    """

    def __init__(self, health: Health, shards: Shards, policy: Callable[[], Policy]) -> None:
        self._health = health
        self._shards = shards
        self._policy = policy
        self._error: PhotoSyncError | None = None
        self.put_aside: list[str] = []
        self.deferred: list[str] = []

    @property
    def ended(self) -> PhotoSyncError | None:
        """Why nothing more should be begun; None while all is well."""
        return self._error or self._health.cause

    def end(self, error: PhotoSyncError) -> None:
        """Begin nothing more; the first cause counts."""
        if self.ended is None:
            self._error = error

    def take_put_aside(self) -> list[str]:
        """Who was put aside so far, in order of their id."""
        ids, self.put_aside = sorted(self.put_aside), []
        return ids

    def failed(
        self,
        window: Window,
        user: User,
        error: Exception,
        *,
        etag: str = "",
        probe: bool = False,
    ) -> None:
        """A request about a user failed.

        Args:
            window: the user's.
            user: whom the request was about.
            error: of the request.
            etag: version of the photo as far as it was seen.
            probe: this user's failure alone stops the run, which was trying them alone.
        """
        if isinstance(error, PhotoSyncError) and _ends_the_run(error):
            self.end(error)
            self.deferred.append(user.id)
        elif probe or not isinstance(error, ServiceError):
            self._settle(window, user, error, etag)
        elif self.ended is not None:
            self.deferred.append(user.id)
        elif window.last_try:
            self._settle(window, user, error, etag)
        else:
            self.put_aside.append(user.id)

    def disputed(self, window: Window, user: User) -> None:
        """Another writer changed the user's picture before anything was written."""
        if window.last_try:
            window.settled[user.id] = (user, DISPUTED)
        else:
            self.put_aside.append(user.id)

    def _settle(self, window: Window, user: User, error: Exception, etag: str) -> None:
        record = window.seen.setdefault(user.id, self._shards.record(user.id))
        window.settled[user.id] = (user, failure(user, record, error, self._policy(), etag=etag))


def _ends_the_run(error: PhotoSyncError) -> bool:
    """Whether nobody can be helped: no time is left, or something is wrong for everybody.

    A pause that was asked for one user is that user's own.
    """
    if isinstance(error, Throttled):
        return not error.own
    return isinstance(error, (*_ENDS_THE_RUN, DeadlineExceeded))
