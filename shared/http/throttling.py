"""Whose pause a 429 asks for: the whole service's, or that of the one user it is about.

One mailbox that is always throttled must not hold up everybody else. So a pause is the user's own
while others are answered and nobody else is throttled; as soon as a second user is throttled, it
is the service's.
"""

import math
import threading

EVIDENCE_SECONDS = 10.0
"""How long an answer to others proves that the service is not meant."""

SUBJECTS = 10_000
"""Users who are remembered as throttled."""


class Throttling:
    """Remembers who was answered and who was throttled; thread-safe.

    Times are monotonic seconds. A subject is the object id of a user, "" for requests about many
    or nobody.
    """

    def __init__(self) -> None:
        self._answered = _Latest()
        self._throttled = _Latest()
        self._before: dict[str, float] = {}
        self._lock = threading.Lock()

    def answered(self, subject: str, now: float) -> None:
        """A request was answered successfully."""
        with self._lock:
            self._answered.put(subject, now)

    def is_own(self, subject: str, now: float) -> bool:
        """A request was throttled: whether the pause is the subject's own.

        Beside answers to others, it counts as proof that this subject was throttled last time too
        and nobody else since: the pause that the whole service kept then has not helped. So it
        does, whoever else is throttled, that others were answered since this subject was.
        """
        with self._lock:
            since = now - EVIDENCE_SECONDS
            before = self._before.get(subject, math.inf)
            if len(self._before) >= SUBJECTS:
                self._before.clear()
            self._before[subject] = now
            if subject and self._answered.of_others(subject) > before:
                self._throttled.put(subject, now)
                return True
            again = self._throttled.last == subject
            others_throttled = self._throttled.of_others(subject)
            self._throttled.put(subject, now)
            if not subject or others_throttled >= since:
                return False
            return again or self._answered.of_others(subject) >= since


class _Latest:
    """The last two subjects and when; one of the two is always another than the one asked for."""

    def __init__(self) -> None:
        self.last: str | None = None
        self._at = -math.inf
        self._other_at = -math.inf

    def put(self, subject: str, now: float) -> None:
        if subject != self.last:
            self.last, self._other_at = subject, self._at
        self._at = now

    def of_others(self, subject: str) -> float:
        return self._other_at if subject == self.last else self._at
