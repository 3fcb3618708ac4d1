"""Whose pause a 429 asks for: the whole service's, or that of the one user it is about.

One mailbox that is always throttled must not hold up everybody else, nor must forty of them. So a
pause is the user's own, unless a second user is throttled and nobody was answered in between: when
a service throttles everybody, the second refusal pauses the service. A request about many users
that is throttled pauses it at once.
"""

import math
import re
import threading
from typing import NamedTuple

EVIDENCE_SECONDS = 10.0
"""How long the refusal of one user makes that of another the service's."""

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
        self._order = 0
        self._lock = threading.Lock()

    def answered(self, kind: str, subject: str, now: float) -> None:
        """A request was answered successfully."""
        with self._lock:
            self._of(kind).answered.put(subject, self._event(now))

    def is_own(self, kind: str, subject: str, now: float) -> bool:
        """A request was throttled: whether the pause is the subject's own.

        It is, unless another subject was throttled shortly before and nobody answered since. That
        others were answered since this very subject was throttled last proves it in any case.
        """
        with self._lock:
            one, event = self._of(kind), self._event(now)
            before = one.before.get(subject)
            if len(one.before) >= SUBJECTS:
                one.before.clear()
            one.before[subject] = event
            answered, throttled = one.answered.of_others(subject), one.throttled.of_others(subject)
            one.throttled.put(subject, event)
            if not subject:
                return False
            if before is not None and answered.order > before.order:
                return True
            return throttled.at < now - EVIDENCE_SECONDS or throttled.order < answered.order

    def _of(self, kind: str) -> "_Kind":
        return self._kinds.setdefault(kind, _Kind())

    def _event(self, now: float) -> "_Event":
        self._order += 1
        return _Event(now, self._order)


class _Event(NamedTuple):
    """When something happened, and its place among all events: many share a moment."""

    at: float
    order: int


_NEVER = _Event(-math.inf, 0)


class _Kind:
    """What is remembered of one kind of request."""

    def __init__(self) -> None:
        self.answered = _Latest()
        self.throttled = _Latest()
        self.before: dict[str, _Event] = {}


class _Latest:
    """The last two subjects and when; one of the two is always another than the one asked for."""

    def __init__(self) -> None:
        self.last: str | None = None
        self._event = _NEVER
        self._other = _NEVER

    def put(self, subject: str, event: _Event) -> None:
        if subject != self.last:
            self.last, self._other = subject, self._event
        self._event = event

    def of_others(self, subject: str) -> _Event:
        return self._other if subject == self.last else self._event
