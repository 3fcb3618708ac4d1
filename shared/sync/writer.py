"""Writes one user's picture in a thread, and says how that went."""

import logging
from collections.abc import Callable
from dataclasses import replace

from shared.clock import Clock
from shared.errors import PhotoSyncError, ProfileMissing, ServiceError
from shared.http import Patience
from shared.log import InvocationLog
from shared.sync.health import Health
from shared.sync.plan import Policy, Settled
from shared.sync.user_sync import Prepared, UserSync
from shared.sync.window import WriteFailed


class Writer:
    """Writes pictures whose records claim nothing meanwhile; thread-safe.

    Args:
        user_sync: writes one user's.
        health: judges the hosts.
        log: of the invocation.
        clock: of the program.
        ended: why nothing more should be begun; None while all is well.
    """

    def __init__(
        self,
        user_sync: UserSync,
        *,
        health: Health,
        log: InvocationLog,
        clock: Clock,
        ended: Callable[[], PhotoSyncError | None],
    ) -> None:
        self._users = user_sync
        self._health = health
        self._log = log
        self._clock = clock
        self._ended = ended

    def write(
        self, prepared: Prepared, policy: Policy, patience: Patience
    ) -> Settled | WriteFailed:
        """Write one picture; errors come back as values.

        Args:
            prepared: what to write.
            policy: of the run; its moment is that of the write.
            patience: for the requests about this user.
        """
        user, host = prepared.user, prepared.location.host
        breaker = self._health.writing(host)
        ended = self._ended()
        if ended:
            return WriteFailed(ended, begun=False)
        try:
            self._health.require(host)
        except ServiceError as error:
            return WriteFailed(error, begun=False)
        policy = replace(policy, now=self._clock.time())
        try:
            settled = self._users.write(prepared, policy, patience)
        except ProfileMissing as error:
            return WriteFailed(error)
        except PhotoSyncError as error:
            return WriteFailed(error, probe=breaker.failed(error, [user.id]))
        except Exception as error:  # noqa: BLE001 - a bug met by one user is not the end
            self._log.add(logging.ERROR, f"user {user.id}: internal error", error=error)
            return WriteFailed(error)
        breaker.succeeded()
        return settled
