"""When a run in which nearly everything fails has to stop."""

import pytest

from shared.errors import (
    AccessDenied,
    DeadlineExceeded,
    Evidence,
    InvalidPhoto,
    MalformedResponse,
    NotFound,
    PermissionMissing,
    ProfileMissing,
    RequestRejected,
    RunStopped,
    Throttled,
    Unavailable,
    UserUnknown,
)
from shared.sync.circuit_breaker import (
    REFUSALS,
    TOLERATED,
    WINDOW,
    CircuitBreaker,
    reading_breaker,
    writing_breaker,
)

EVIDENCE = Evidence("sharepoint", "POST", "https://x.example/y", 500, "C-1", "down", "r-1")
DOWN = Unavailable(EVIDENCE)


def breaker(*, probing: bool = False) -> CircuitBreaker:
    return writing_breaker(probing=probing)


def feed(judge: CircuitBreaker, results: str) -> CircuitBreaker:
    """`+` succeeded, `-` failed, `x` refused."""
    for result in results:
        if result == "+":
            judge.succeeded()
        else:
            judge.failed(AccessDenied(EVIDENCE) if result == "x" else DOWN)
    return judge


@pytest.mark.parametrize(
    ("results", "stopped"),
    [
        ("", False),
        ("-" * (WINDOW - 1), False),
        ("-" * WINDOW, True),
        ("+" * TOLERATED + "-" * (WINDOW - TOLERATED), True),
        ("+" * (TOLERATED + 1) + "-" * (WINDOW - TOLERATED - 1), False),
        ("+" * 500 + "-" * WINDOW, True),
        ("-+" * 100, False),
        (("-" * 9 + "+") * 10, True),  # 18 of 20
        (("-" * 5 + "+") * 20, False),
        ("x" * (REFUSALS - 1), False),
        ("x" * REFUSALS, True),
        ("-x-x-x", True),
        ("+" + "x" * (WINDOW - 2), False),
        ("+" + "x" * WINDOW, True),
    ],
)
def test_when_it_stops(results: str, stopped: bool) -> None:
    """Nearly all of the last results, or the first refusals without any success."""
    assert (feed(breaker(), results).cause is not None) is stopped


def test_requests_are_bounded() -> None:
    """A dead service is given up after a window, a missing permission after a few users."""
    assert REFUSALS <= 3
    assert WINDOW <= 20


@pytest.mark.parametrize(
    "error",
    [
        ProfileMissing("none yet"),
        InvalidPhoto("broken"),
        UserUnknown("gone"),
        DeadlineExceeded("late"),
        Throttled(EVIDENCE, 10),
        ValueError("bug"),
        None,
    ],
)
def test_what_is_no_failure_of_the_service(error: Exception | None) -> None:
    """Errors of users, spent time and throttling never stop a run, not even a probing one."""
    for probing in (False, True):
        judge = breaker(probing=probing)
        for _ in range(2 * WINDOW):
            assert judge.failed(error) is False
        assert judge.cause is None
        assert judge.probing is probing


@pytest.mark.parametrize(
    "kind", [Unavailable, MalformedResponse, AccessDenied, RequestRejected, NotFound]
)
def test_a_probing_run(kind: type[Exception]) -> None:
    """After a stopped run one failure is enough, until something succeeds."""
    judge = breaker(probing=True)
    assert judge.probing
    assert judge.failed(kind(EVIDENCE)) is True
    assert judge.cause is not None
    healed = breaker(probing=True)
    healed.succeeded()
    assert not healed.probing
    assert healed.failed(kind(EVIDENCE)) is False
    assert healed.cause is None


def test_the_first_cause_stays() -> None:
    """What comes after the decision does not change it."""
    judge = feed(breaker(), "x" * REFUSALS)
    cause = judge.cause
    assert feed(judge, "-+" * 50).cause is cause


@pytest.mark.parametrize(
    ("judge", "resource", "role"),
    [
        (reading_breaker(), "Microsoft Graph", "User.Read.All"),
        (writing_breaker(), "SharePoint", "User.ReadWrite.All and Sites.FullControl.All"),
    ],
)
def test_a_missing_permission_is_named(judge: CircuitBreaker, resource: str, role: str) -> None:
    """AccessDenied: which role on which resource, with the evidence."""
    cause = feed(judge, "x" * REFUSALS).cause
    assert isinstance(cause, PermissionMissing)
    assert (cause.resource, cause.role) == (resource, role)
    assert "r-1" in str(cause)


@pytest.mark.parametrize(
    ("judge", "work"),
    [(reading_breaker(), "reading from Microsoft Graph"), (breaker(), "working with SharePoint")],
)
def test_a_dead_service_is_named(judge: CircuitBreaker, work: str) -> None:
    """What failed, how, and what happens next."""
    cause = feed(judge, "-" * WINDOW).cause
    assert isinstance(cause, RunStopped)
    for part in (work, "500 C-1 (down)", "r-1", "next firing tries one user"):
        assert part in str(cause)
