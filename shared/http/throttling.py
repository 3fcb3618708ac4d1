"""Whose pause a 429 asks for: the whole service's, or that of the one user it is about.

One mailbox that is always throttled must not hold up everybody else, nor must forty of them. So a
pause is the user's own, unless a second user is throttled and nobody was answered in between: when
a service throttles everybody, the second refusal pauses the service. A request about many users
that is throttled pauses it at once.

Throttled users who come again one after another, as at the end of a run, must not look like that.
So whoever was throttled while others were answered stays alone with it until they are answered
themselves, and so does a user for whom the whole service has paused long enough.
"""

import math
import re
import threading
from dataclasses import dataclass
from typing import NamedTuple

EVIDENCE_SECONDS = 10.0
"""How long the refusal of one user makes that of another the service's."""

SHARED_SECONDS = 120.0
"""When the whole service has paused so long because of a user, their trouble is their own: it costs
a run two minutes, or half of a pause that is longer, for two users are behind it."""

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
            one = self._of(kind)
            one.answered.put(self._event(subject, now))
            one.refused.pop(subject, None)

    def is_own(self, kind: str, subject: str, now: float, seconds: float) -> bool:
        """A request was throttled: whether the pause is the subject's own.

        It is, unless another subject was throttled shortly before and nobody answered since. It is
        in any case when others were answered since this very subject was throttled first, or when
        the service has paused for them for `SHARED_SECONDS`; then it says nothing of the service.

        Args:
            kind: see `kind_of`.
            subject: of the request.
            now: monotonic seconds.
            seconds: how long the pause lasts.
        """
        with self._lock:
            one, event = self._of(kind), self._event(subject, now)
            if not subject:
                one.throttled.put(event)
                return False
            refused = one.refused_of(event)
            answered, throttled = one.answered.of_others(subject), one.throttled.of_others(subject)
            if answered.order > refused.first.order or refused.shared_seconds >= SHARED_SECONDS:
                return True
            one.throttled.put(event)
            if throttled.at < now - EVIDENCE_SECONDS or throttled.order < answered.order:
                return True
            for user in (subject, throttled.subject):
                if user in one.refused:
                    one.refused[user].shared_seconds += seconds
            return False

    def _of(self, kind: str) -> "_Kind":
        return self._kinds.setdefault(kind, _Kind())

    def _event(self, subject: str, now: float) -> "_Event":
        self._order += 1
        return _Event(subject, now, self._order)


class _Event(NamedTuple):
    """Whom it was about, when it happened, and its place among all events: many share a moment."""

    subject: str
    at: float
    order: int


_NEVER = _Event("", -math.inf, 0)


@dataclass
class _Refused:
    """A subject that was throttled and not answered since.

    Attributes:
        first: when that began.
        shared_seconds: how long the whole service was to pause for it.
    """

    first: _Event
    shared_seconds: float = 0.0


class _Kind:
    """What is remembered of one kind of request."""

    def __init__(self) -> None:
        self.answered = _Latest()
        self.throttled = _Latest()
        self.refused: dict[str, _Refused] = {}

    def refused_of(self, event: _Event) -> _Refused:
        """What is known of the subject that was throttled now."""
        if len(self.refused) >= SUBJECTS and event.subject not in self.refused:
            self.refused.clear()
        return self.refused.setdefault(event.subject, _Refused(event))


class _Latest:
    """The last events of two subjects; one of the two is always another than the one asked for."""

    def __init__(self) -> None:
        self._event = _NEVER
        self._other = _NEVER

    def put(self, event: _Event) -> None:
        if event.subject != self._event.subject:
            self._other = self._event
        self._event = event

    def of_others(self, subject: str) -> _Event:
        return self._other if subject == self._event.subject else self._event
