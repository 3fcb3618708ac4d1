"""Whose pause a 429 asks for: the whole service's, or that of the one user it is about.

One mailbox that is always throttled must not hold up everybody else, nor must forty of them. So a
pause is the user's own while others are answered: since the last time that another user was
throttled, somebody else was answered. When a service throttles everybody, nobody is answered after
the first refusal, and the second one pauses the service.
"""

import math
import re
import threading

EVIDENCE_SECONDS = 10.0
"""How long an answer to others proves that the service is not meant."""

SUBJECTS = 10_000
"""Users who are remembered as throttled."""

_ARGUMENTS = re.compile(r"\([^()]*\)")


def kind_of(method: str, url: str) -> str:
    """What kind of request this is: a service may limit one kind and answer all others.

    SharePoint limits calls of PeopleManager apart from file uploads (SharePoint documentation,
    "User profile throttling"), so an upload that succeeds proves nothing for a profile write.
    """
    path = url.partition("?")[0].rstrip("/")
    return f"{method} {_ARGUMENTS.sub('', path.rpartition('/')[2])}"


class Throttling:
    """Remembers who was answered and who was throttled; thread-safe.

    Times are monotonic seconds. A subject is the object id of a user, "" for requests about many
    or nobody.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._lock = threading.Lock()

    def answered(self, kind: str, subject: str, now: float) -> None:
        """A request was answered successfully."""
        with self._lock:
            self._of(kind).answered.put(subject, now)

    def is_own(self, kind: str, subject: str, now: float) -> bool:
        """A request was throttled: whether the pause is the subject's own.

        Beside answers to others, it counts as proof that this subject was throttled last time too
        and nobody else since: the pause that the whole service kept then has not helped. So it
        does, whoever else is throttled, that others were answered since this subject was.
        """
        with self._lock:
            one = self._of(kind)
            before = one.before.get(subject, math.inf)
            if len(one.before) >= SUBJECTS:
                one.before.clear()
            one.before[subject] = now
            again = one.throttled.last == subject
            others_throttled = one.throttled.of_others(subject)
            one.throttled.put(subject, now)
            answered = one.answered.of_others(subject)
            if not subject:
                return False
            if answered > before:
                return True
            if others_throttled >= now - EVIDENCE_SECONDS and others_throttled >= answered:
                return False
            return again or answered >= now - EVIDENCE_SECONDS

    def _of(self, kind: str) -> "_Kind":
        return self._kinds.setdefault(kind, _Kind())


class _Kind:
    """What is remembered of one kind of request."""

    def __init__(self) -> None:
        self.answered = _Latest()
        self.throttled = _Latest()
        self.before: dict[str, float] = {}


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
