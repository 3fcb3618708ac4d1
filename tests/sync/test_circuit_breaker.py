"""When a service is judged, and when a user."""

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import (
    AccessDenied,
    Evidence,
    HostUnavailable,
    MalformedResponse,
    NotFound,
    PatienceExceeded,
    PermissionMissing,
    PhotoSyncError,
    RequestRejected,
    RunStopped,
    Throttled,
    Unavailable,
)
from shared.sync.circuit_breaker import CircuitBreaker
from shared.sync.health import Health

ASKED = Evidence("sharepoint", "POST", "https://contoso-my.sharepoint.com/x", 503)
DOWN = Unavailable(ASKED)
DENIED = AccessDenied(ASKED)


class Canary:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, *answers: bool | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, _: PhotoSyncError, __: Collection[str]) -> bool | None:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def breaker(canary: Canary, *, probing: bool = False) -> CircuitBreaker:
    return CircuitBreaker(
        "writing to SharePoint",
        resource="SharePoint",
        role="Sites.FullControl.All",
        canary=canary,
        probing=probing,
    )


def fail(one: CircuitBreaker, number: int, error: PhotoSyncError = DOWN, first: int = 0) -> None:
    for user in range(first, first + number):
        one.failed(error, [f"user {user}"])


@pytest.mark.parametrize("answer", [False, None])
def test_a_service_that_answers_nobody_stops_the_run(answer: bool | None) -> None:
    """Twenty failed requests about twenty users, nobody succeeds, nor does the healthy user."""
    one = breaker(canary := Canary(answer))
    fail(one, 19)
    assert (one.cause, canary.asked) == (None, 0)
    fail(one, 1, first=19)
    assert isinstance(one.cause, RunStopped)
    assert "writing to SharePoint fails for everybody" in str(one.cause)
    assert str(DOWN) in str(one.cause)
    fail(one, 50)
    assert canary.asked == 1


def test_one_user_who_fails_a_hundred_times_is_no_outage() -> None:
    """Distinct users count, not requests."""
    one = breaker(canary := Canary(False))
    for _ in range(100):
        one.failed(DOWN, ["user 0"])
    assert (one.cause, canary.asked) == (None, 0)


def test_one_batch_of_twenty_users_is_one_request() -> None:
    """A failed request about many users says no more than a failed request."""
    one = breaker(canary := Canary(False))
    for _ in range(19):
        one.failed(DOWN, [f"user {n}" for n in range(20)])
    assert (one.cause, canary.asked) == (None, 0)
    one.failed(DOWN, ["user 0"])
    assert one.cause is not None


def test_a_success_in_between_forgives() -> None:
    """The service works, so whoever fails has a trouble of their own."""
    one = breaker(canary := Canary(False))
    for _ in range(10):
        fail(one, 19)
        one.succeeded()
    assert (one.cause, canary.asked) == (None, 0)


def test_forty_poisoned_users_on_a_quiet_night_stop_nothing() -> None:
    """The healthy user tells the trouble of forty from an outage, and is asked ever less often."""
    one = breaker(canary := Canary(True))
    fail(one, 40)
    assert one.cause is None
    assert canary.asked == 1
    fail(one, 400)
    assert one.cause is None
    assert canary.asked < 6


def test_a_missing_permission_is_found_after_three_users() -> None:
    """A refusal does not pass, so three are enough; the role is named."""
    one = breaker(Canary(False))
    fail(one, 2, DENIED)
    assert not one.cause
    fail(one, 1, DENIED, first=2)
    assert isinstance(one.cause, PermissionMissing)
    assert "Sites.FullControl.All" in str(one.cause)


def test_without_a_healthy_user_ten_refusals_are_needed() -> None:
    """On a first night the first few users may be the only ones in trouble."""
    one = breaker(Canary(None))
    fail(one, 9, DENIED)
    assert one.cause is None
    fail(one, 1, DENIED, first=9)
    assert isinstance(one.cause, PermissionMissing)


@pytest.mark.parametrize("answer", [True, None])
def test_refusals_among_successes_are_the_users_own(answer: bool | None) -> None:
    """Who succeeded proves the permission, also when there is no healthy user to ask about."""
    one = breaker(Canary(answer))
    one.succeeded()
    fail(one, 50, DENIED)
    assert one.cause is None


def test_an_outage_after_successes_is_found() -> None:
    """That the service worked an hour ago does not prove that it works."""
    one = breaker(Canary(None))
    one.succeeded()
    fail(one, 20)
    assert isinstance(one.cause, RunStopped)


@pytest.mark.parametrize(
    "error",
    [
        NotFound(ASKED),
        RequestRejected(ASKED),
        Throttled(ASKED, 300),
        None,
        ValueError("a bug"),
    ],
)
def test_what_is_about_the_user_never_counts(error: Exception | None) -> None:
    """404, 423 and 400 are theirs, however many they are; a pause of the service is nobody's."""
    one = breaker(canary := Canary(False))
    for user in range(100):
        assert one.failed(error, [f"user {user}"]) is False
    one.conclude()
    assert (one.cause, canary.asked) == (None, 0)


@pytest.mark.parametrize(
    "error",
    [
        MalformedResponse(ASKED),
        PatienceExceeded(ASKED),
        Throttled(ASKED, 300, own=True),
        HostUnavailable(ASKED, "https://contoso-my.sharepoint.com", "is gone", "Wait."),
    ],
)
def test_what_may_be_the_service_counts(error: PhotoSyncError) -> None:
    """Time-outs, nonsense and a host that is missing are the service's when nobody succeeds."""
    one = breaker(Canary(False))
    fail(one, 20, error)
    assert one.cause is not None


def test_a_small_tenant_is_judged_at_the_end() -> None:
    """Three users are too few to stop for, but when all is done and nobody was answered..."""
    one = breaker(Canary(None))
    fail(one, 3)
    assert one.cause is None
    one.conclude()
    assert isinstance(one.cause, RunStopped)


@pytest.mark.parametrize(
    ("users", "succeed", "answer"), [(2, 0, False), (5, 1, False), (9, 0, True)]
)
def test_who_fails_beside_others_is_not_the_service(users: int, succeed: int, answer: bool) -> None:
    """One or two users, users beside others, and users beside a healthy one stop nothing."""
    one = breaker(Canary(answer))
    for _ in range(succeed):
        one.succeeded()
    fail(one, users)
    one.conclude()
    assert one.cause is None


def test_after_a_stop_one_failure_is_enough() -> None:
    """The next firing tries one user and notes the failure, so the one after tries another."""
    one = breaker(Canary(None), probing=True)
    assert one.probing
    assert one.failed(DOWN, ["user 0"]) is True
    assert one.cause is not None


def test_after_a_stop_one_success_is_enough() -> None:
    """Then everybody is taken again."""
    one = breaker(Canary(None), probing=True)
    one.succeeded()
    assert not one.probing
    assert one.failed(DOWN, ["user 0"]) is False
    assert one.cause is None


def test_after_a_stop_the_healthy_user_decides_about_a_poisoned_one() -> None:
    """Whoever is tried first may be the one user with trouble."""
    one = breaker(canary := Canary(True), probing=True)
    assert one.failed(DOWN, ["user 0"]) is False
    assert (one.cause, one.probing, canary.asked) == (None, False, 1)


def test_many_threads_ask_about_the_healthy_user_once() -> None:
    """While one thread asks, the others go on."""
    asking, go = threading.Event(), threading.Event()

    def canary(_: PhotoSyncError, __: Collection[str]) -> bool:
        asking.set()
        go.wait(10)
        return False

    one = CircuitBreaker("x", resource="SharePoint", role="r", canary=canary)
    with ThreadPoolExecutor(30) as pool:
        for user in range(60):
            pool.submit(one.failed, DOWN, [f"user {user}"])
        assert asking.wait(10)
        go.set()
    assert one.cause is not None


def health(*, probing: bool = False) -> Health:
    return Health(lambda _work, _host: Canary(False), home="https://a-my.x", probing=probing)


def test_trouble_of_one_geo_fails_its_users_and_nobody_else() -> None:
    """The run goes on as long as another geo's host works."""
    one = health()
    one.writing("https://a-my.x").succeeded()
    fail(one.writing("https://aeur-my.x"), 20)
    assert one.cause is None
    one.require("https://a-my.x")
    with pytest.raises(HostUnavailable, match=r"https://aeur-my\.x works for nobody"):
        one.require("https://aeur-my.x")
    fail(one.writing("https://a-my.x"), 20)
    assert one.cause is not None


def test_no_host_named_is_the_central_geo() -> None:
    """A profile without a host belongs to the central My Site host."""
    one = health()
    assert one.writing("") is one.writing("https://a-my.x")


@pytest.mark.parametrize("kind", ["versions", "photos", "profiles"])
def test_each_kind_of_work_can_stop_the_run(kind: str) -> None:
    """Versions may be had while the photos behind them fail for everybody."""
    one = health()
    for other in {"versions", "photos", "profiles"} - {kind}:
        getattr(one, other).succeeded()
    fail(getattr(one, kind), 3, DENIED)
    assert isinstance(one.cause, PermissionMissing)
    role = "User.ReadWrite.All" if kind == "profiles" else "ProfilePhoto.Read.All"
    assert one.cause.role == role


def test_probing_ends_with_the_first_write() -> None:
    """That versions can be read does not prove that pictures can be written."""
    one = health(probing=True)
    one.versions.succeeded()
    assert one.probing
    one.writing("").succeeded()
    assert not one.probing


def test_a_stop_says_what_to_do() -> None:
    """What happened, that nothing is lost, and where to look."""
    one = breaker(Canary(False))
    fail(one, 20)
    assert str(one.cause) == (
        f"stopped because writing to SharePoint fails for everybody, last with: {DOWN}. Nothing is "
        "lost: the next firing tries again and goes on when that succeeds. If it lasts, see the "
        "service health of Microsoft 365 and docs/operate.md"
    )


def test_a_missing_permission_is_told_with_its_evidence() -> None:
    """Service, role, and what was answered."""
    one = breaker(Canary(False))
    fail(one, 3, DENIED)
    assert isinstance(one.cause, PermissionMissing)
    assert (one.cause.resource, one.cause.evidence) == ("SharePoint", ASKED)


def test_the_healthy_user_is_asked_about_what_failed() -> None:
    """The error tells which request to repeat; in the middle of a pass and at its end."""
    heard: list[PhotoSyncError] = []

    def canary(error: PhotoSyncError, _: Collection[str]) -> bool:
        heard.append(error)
        return True

    one = CircuitBreaker("x", resource="SharePoint", role="r", canary=canary)
    fail(one, 20)
    other = CircuitBreaker("x", resource="SharePoint", role="r", canary=canary)
    nonsense = MalformedResponse(ASKED)
    fail(other, 3, nonsense)
    other.conclude()
    assert heard == [DOWN, nonsense]


def test_each_good_answer_of_the_healthy_user_doubles_the_patience() -> None:
    """After 20 failures, then 40, then 80; of refusals after 3, 6, 12; users likewise."""
    one = breaker(canary := Canary(True))
    asked = []
    for user in range(20 + 40 + 80):
        one.failed(DOWN, [f"user {user}"])
        asked.append(canary.asked)
    assert [asked.index(number) + 1 for number in (1, 2, 3)] == [20, 60, 140]
    one = breaker(canary := Canary(True))
    asked = []
    for user in range(3 + 6 + 12):
        one.failed(DENIED, [f"user {user}"])
        asked.append(canary.asked)
    assert [asked.index(number) + 1 for number in (1, 2, 3)] == [3, 9, 21]


def test_ten_users_are_enough_and_nine_are_not() -> None:
    """However many requests; and twenty after the healthy user was fine once."""
    one = breaker(canary := Canary(True, False))
    for _ in range(10):
        fail(one, 9)
    assert canary.asked == 0
    fail(one, 1, first=9)
    assert (canary.asked, one.cause) == (1, None)
    for _ in range(10):
        fail(one, 19)
    assert canary.asked == 1
    fail(one, 1, first=19)
    assert canary.asked == 2
    assert one.cause is not None


def test_without_a_healthy_user_refusals_of_a_few_decide_nothing() -> None:
    """Three may be in trouble themselves; ten are not. The next failure asks again."""
    one = breaker(canary := Canary(None))
    assert [one.failed(DENIED, [f"user {user}"]) for user in range(9)] == [False] * 9
    assert (one.cause, canary.asked) == (None, 7)
    fail(one, 1, DENIED, first=9)
    assert isinstance(one.cause, PermissionMissing)


def test_at_the_end_a_cause_is_not_judged_again() -> None:
    """Nor is a service of which nothing is known."""
    one = breaker(canary := Canary(False))
    one.conclude()
    assert canary.asked == 0
    fail(one, 20)
    cause = one.cause
    one.conclude()
    assert (one.cause, canary.asked) == (cause, 1)
    assert cause is not None


def test_while_the_healthy_user_is_asked_nobody_else_asks() -> None:
    """Neither another failure nor the end of the pass."""
    asked = []

    def canary(error: PhotoSyncError, _: Collection[str]) -> bool:
        asked.append(error)
        if len(asked) > 3:
            raise AssertionError("asked while it is asked")
        fail(one, 30, first=100)
        one.conclude()
        return False

    one = CircuitBreaker("x", resource="SharePoint", role="r", canary=canary)
    fail(one, 20)
    assert len(asked) == 1
    one = CircuitBreaker("x", resource="SharePoint", role="r", canary=canary)
    asked.clear()
    fail(one, 3)
    one.conclude()
    assert len(asked) == 1


def test_a_second_stop_needs_another_proof() -> None:
    """After the healthy user was fine, an outage is still found."""
    one = breaker(canary := Canary(True, False))
    fail(one, 60)
    assert canary.asked == 2
    assert isinstance(one.cause, RunStopped)


def test_a_host_that_works_for_nobody_says_why() -> None:
    """Its users' reports name the host and the cause."""
    one = health()
    one.writing("https://a-my.x").succeeded()
    fail(one.writing("https://aeur-my.x"), 20)
    with pytest.raises(HostUnavailable) as raised:
        one.require("https://aeur-my.x")
    error = raised.value
    assert error.evidence == Evidence("sharepoint", "POST", "https://aeur-my.x")
    assert error.host == "https://aeur-my.x"
    assert error.remedy == str(one.writing("https://aeur-my.x").cause)
    assert str(error).startswith("https://aeur-my.x works for nobody (")


def test_each_kind_of_work_has_a_canary_of_its_own() -> None:
    """It is asked about the work, and for writing about the host."""
    asked: list[tuple[str, str]] = []

    def make(work: str, host: str) -> Canary:
        asked.append((work, host))
        return Canary(False)

    one = Health(make, home="https://a-my.x", probing=False)
    one.writing("")
    one.writing("https://aeur-my.x")
    assert asked == [
        ("reading photo versions from Microsoft Graph", ""),
        ("reading photos from Microsoft Graph", ""),
        ("reading profiles from SharePoint", ""),
        ("writing to SharePoint", "https://a-my.x"),
        ("writing to SharePoint", "https://aeur-my.x"),
    ]


def test_writing_names_both_roles() -> None:
    """Whoever may read profiles may still lack the library."""
    one = health()
    fail(one.writing(""), 3, DENIED)
    cause = one.cause
    assert isinstance(cause, PermissionMissing)
    assert cause.role == "User.ReadWrite.All and Sites.FullControl.All"
    assert cause.resource == "SharePoint"


def test_the_end_of_a_pass_judges_every_kind_of_work() -> None:
    """A few users whom nobody answered are enough then."""
    for kind in ("versions", "photos", "profiles"):
        one = health()
        fail(getattr(one, kind), 3)
        assert one.cause is None
        one.conclude()
        assert isinstance(one.cause, RunStopped)
    one = health()
    fail(one.writing(""), 3)
    one.conclude()
    assert isinstance(one.cause, RunStopped)


def test_whoever_met_trouble_is_asked_about_last() -> None:
    """The canary is told everybody who failed in this firing, also those long forgiven."""
    told = list[Collection[str]]()

    class Told(Canary):
        def __call__(self, error: PhotoSyncError, suspects: Collection[str]) -> bool | None:
            told.append(suspects)
            return super().__call__(error, suspects)

    one = breaker(Told(True))
    fail(one, 3, DENIED)
    one.succeeded()
    fail(one, 6, DENIED, first=3)
    assert told == [{f"user {n}" for n in range(3)}, {f"user {n}" for n in range(9)}]
