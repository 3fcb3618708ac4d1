"""Whether the platform refuses forged identities."""

from collections.abc import Mapping

import pytest

from local.host.sign_in import CLIENT_ID, TENANT_ID
from local.support.clock import VirtualClock
from shared.checks import portal as checks
from shared.sign_in import Expected, Proof, Refusal, Verdict, read
from shared.sign_in.proof import FRESH_SECONDS, UNKNOWN_FRESH_SECONDS, address
from tests.support.portal_site import ENVIRONMENT

EXPECTED = Expected(CLIENT_ID, TENANT_ID)
HOSTED = {**ENVIRONMENT, "WEBSITE_HOSTNAME": "app.azurewebsites.net"}


class Probe:
    """Answers probes with a status, or not at all, and remembers them."""

    def __init__(self, status: int | OSError) -> None:
        self.status = status
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    def __call__(self, url: str, headers: Mapping[str, str], timeout: float) -> int:
        assert 0 < timeout <= 5
        self.sent.append((url, headers))
        if isinstance(self.status, OSError):
            raise self.status
        return self.status


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.ENFORCED),
        (403, Verdict.ENFORCED),
        (302, Verdict.ENFORCED),
        (307, Verdict.ENFORCED),
        (200, Verdict.OPEN),
        (500, Verdict.OPEN),
        (404, Verdict.UNKNOWN),
        (429, Verdict.UNKNOWN),
        (502, Verdict.UNKNOWN),
        (503, Verdict.UNKNOWN),
        (OSError("unreachable"), Verdict.UNKNOWN),
    ],
)
def test_answers(status: int | OSError, verdict: Verdict) -> None:
    """Refused is well, let through is not, and no answer proves nothing."""
    assert Proof(Probe(status), VirtualClock()).finding(HOSTED, EXPECTED).verdict is verdict


def test_the_probe_is_well_formed() -> None:
    """An open layer must not stumble over it: it is what the platform itself would write."""
    probe = Probe(401)
    Proof(probe, VirtualClock()).finding(HOSTED, EXPECTED)
    ((url, headers),) = probe.sent
    assert url == "https://app.azurewebsites.net/api/portal/api/me"
    assert read(headers, EXPECTED, 0.0) is Refusal.FORGED


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("app.azurewebsites.net", "https://app.azurewebsites.net/api/portal/api/me"),
        ("127.0.0.1:7071", "http://127.0.0.1:7071/api/portal/api/me"),
        ("localhost:7071", "http://localhost:7071/api/portal/api/me"),
        ("localhost", "http://localhost/api/portal/api/me"),
        ("", None),
        ("evil.example/path", None),
        ("user@evil.example", None),
    ],
)
def test_addresses(host: str, url: str | None) -> None:
    """The probe goes to the app's own address and nowhere else."""
    assert address({"WEBSITE_HOSTNAME": host}) == url


@pytest.mark.parametrize(
    ("status", "kept"),
    [(401, FRESH_SECONDS), (200, UNKNOWN_FRESH_SECONDS), (404, UNKNOWN_FRESH_SECONDS)],
)
def test_how_long_it_is_believed(status: int, kept: float) -> None:
    """A good finding is kept for ten minutes, any other for one."""
    clock, probe = VirtualClock(), Probe(status)
    proof = Proof(probe, clock)
    for _ in range(3):
        proof.finding(HOSTED, EXPECTED)
    assert len(probe.sent) == 1
    clock.advance(kept - 1)
    proof.finding(HOSTED, EXPECTED)
    assert len(probe.sent) == 1
    clock.advance(1)
    proof.finding(HOSTED, EXPECTED)
    assert len(probe.sent) == 2


def test_a_forged_identity_arrived() -> None:
    """Then only a probe that is refused opens the portal again, not one without an answer."""
    clock, probe = VirtualClock(), Probe(OSError("unreachable"))
    proof = Proof(probe, clock)
    proof.forged()
    for _ in range(3):
        assert proof.finding(HOSTED, EXPECTED).verdict is Verdict.OPEN
        clock.advance(UNKNOWN_FRESH_SECONDS)
    probe.status = 401
    assert proof.finding(HOSTED, EXPECTED).verdict is Verdict.ENFORCED


def test_other_settings_are_tried_anew() -> None:
    """What was found for one application says nothing about another."""
    probe = Probe(401)
    proof = Proof(probe, VirtualClock())
    proof.finding(HOSTED, EXPECTED)
    proof.finding(HOSTED, Expected(TENANT_ID, TENANT_ID))
    assert len(probe.sent) == 2


def test_the_checks() -> None:
    """GET /api/sync says whether the portal is set up and whether sign-in is enforced."""

    def rows(environ: Mapping[str, str], status: int) -> list[tuple[str, bool]]:
        found = checks.checks(environ, Proof(Probe(status), VirtualClock()))
        assert all(check.detail for check in found)
        assert all(check.ok or check.remedy for check in found)
        return [(check.name, check.ok) for check in found]

    settings, signed_in = checks.SETTINGS, checks.SIGN_IN
    assert rows({}, 401) == []
    assert rows(HOSTED, 401) == [(settings, True), (signed_in, True)]
    assert rows(HOSTED, 200) == [(settings, True), (signed_in, False)]
    assert rows(HOSTED, 404) == [(settings, True), (signed_in, True)]
    assert rows({"PORTAL_CLIENT_ID": CLIENT_ID}, 401) == [(settings, False), (signed_in, False)]
