"""Whose pause a 429 asks for: the rule alone, without requests."""

from collections.abc import Collection
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.http.throttling import EVIDENCE_SECONDS, SHARED_SECONDS, Throttling, kind_of

SUBJECTS = st.sampled_from(["", "a", "b", "c"])
PAUSES = st.sampled_from([1.0, 50.0, 70.0, 300.0])


class Told(NamedTuple):
    """What happened, as a history keeps it; `pauses`: the service, for so many seconds."""

    answer: bool
    subject: str
    at: float
    evidence: bool = False
    pauses: float = 0.0
    shares: Collection[str] = ()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from("xy"), SUBJECTS, st.floats(0, 15), PAUSES),
        max_size=40,
    )
)
def test_own_pauses_by_definition(events: list[tuple[bool, str, str, float, float]]) -> None:
    """The rule, written down once more over the whole history of each kind of request."""
    throttling = Throttling()
    histories: dict[str, list[Told]] = {"x": [], "y": []}
    now = 0.0
    for is_answer, kind, subject, passed, seconds in events:
        now += passed
        history = histories[kind]
        if is_answer:
            throttling.answered(kind, subject, now)
            history.append(Told(answer=True, subject=subject, at=now))
            continue
        told = by_definition(history, subject, now, seconds)
        assert throttling.is_own(kind, subject, now, seconds) == (told.pauses == 0)
        history.append(told)


def by_definition(history: list[Told], subject: str, now: float, seconds: float) -> Told:
    """Whether this refusal pauses the service, and whether it counts against it."""
    refusal = Told(answer=False, subject=subject, at=now, evidence=True, pauses=seconds)
    if not subject:
        return refusal
    began = max(
        (n + 1 for n, e in enumerate(history) if e.answer and e.subject == subject), default=0
    )
    first = next(
        (n for n, e in enumerate(history) if n >= began and not e.answer and e.subject == subject),
        len(history),
    )
    others_answered = any(e.answer and e.subject != subject for e in history[first:])
    shared = sum(e.pauses for e in history[first:] if subject in e.shares)
    if others_answered or shared >= SHARED_SECONDS:
        return refusal._replace(evidence=False, pauses=0)
    for told in reversed(history):
        if told.subject != subject and (told.answer or told.evidence):
            if told.answer or told.at < now - EVIDENCE_SECONDS:
                break
            return refusal._replace(shares={subject, told.subject})
    return refusal._replace(pauses=0)


def test_forty_throttled_users_beside_others_who_are_answered_pause_nobody() -> None:
    """Since the last of them was throttled somebody was answered, so the service is not meant."""
    throttling = Throttling()
    for number in range(40):
        throttling.answered("GET $value", f"good {number}", 7.0)
        assert throttling.is_own("GET $value", f"poisoned {number}", 7.0, 300)


def test_a_service_that_throttles_everybody_is_found_by_the_second_refusal() -> None:
    """Nobody is answered after the first one."""
    throttling = Throttling()
    throttling.answered("GET $value", "good", 0)
    assert throttling.is_own("GET $value", "first", 1, 300)
    assert not throttling.is_own("GET $value", "second", 1, 300)
    assert not throttling.is_own("GET $value", "third", 1, 300)


def test_users_who_are_throttled_among_others_come_again_one_by_one() -> None:
    """At the end of a run only they are left, and nobody is answered between them."""
    throttling = Throttling()
    for number in range(10):
        assert throttling.is_own("GET $value", f"poisoned {number}", number, 300)
        throttling.answered("GET $value", f"good {number}", number)
    for second in (20, 21):
        for number in range(10):
            assert throttling.is_own("GET $value", f"poisoned {number}", second, 300)


def test_two_users_pause_the_service_for_five_minutes_once() -> None:
    """They are the last of a run: nobody is answered after them who would prove it theirs."""
    throttling = Throttling()
    assert throttling.is_own("GET $value", "last but one", 0, 300)
    assert not throttling.is_own("GET $value", "last", 0, 300)
    for now in (300, 301, 600):
        assert throttling.is_own("GET $value", "last but one", now, 300)
        assert throttling.is_own("GET $value", "last", now, 300)


def test_whoever_is_answered_is_like_anybody_else() -> None:
    """Their next refusal may be the service's."""
    throttling = Throttling()
    assert throttling.is_own("GET $value", "a", 0, 300)
    throttling.answered("GET $value", "b", 0)
    assert throttling.is_own("GET $value", "a", 1, 300)
    throttling.answered("GET $value", "a", 2)
    assert throttling.is_own("GET $value", "b", 3, 300)
    assert not throttling.is_own("GET $value", "a", 3, 300)


def test_one_kind_of_request_proves_nothing_for_another() -> None:
    """SharePoint may refuse profile writes while it takes uploads."""
    throttling = Throttling()
    write = kind_of("POST", "https://x/_vti_bin/client.svc/ProcessQuery")
    upload = kind_of("POST", "https://x/_api/web/f(decodedUrl='/a')/Files/AddUsingPath(x='y')")
    for number in range(9):
        throttling.answered(upload, f"user {number}", float(number))
        assert throttling.is_own(write, f"user {number}", number + 0.5, 9) is (number == 0)
