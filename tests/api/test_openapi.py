"""`docs/openapi.json` says exactly what the functions answer, under the worker library."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from local.tenant import Fault
from shared import __version__
from shared.model import Outcome
from tests.support.sampling import THOROUGH
from tests.support.served_world import ROOT, Served

Make = Callable[..., Served]

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OVERVIEW, USER = "/api/sync", "/api/sync/{user}"
NOBODY = "00000000-0000-4000-8000-000000000000"

load_all_checks()
CONFORMANCE = [
    CHECKS.get_one(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]


def documented() -> set[tuple[str, str, int]]:
    """Every documented answer: method, path, status."""
    return {
        (method.upper(), path, int(status))
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post"}
        for status in operation["responses"]
    }


FRAMING = frozenset({"transfer-encoding", "content-length"})
"""Headers that say where a message ends. A wrong one is refused by the web server before any
function, with an empty 400: that is not the document's."""


class Caller:
    """Calls the functions over HTTP and compares every answer with the document.

    Attributes:
        seen: method, path and status of each answer.
    """

    def __init__(self, here: Served) -> None:
        self.here = here
        self.seen: set[tuple[str, str, int]] = set()

    def __call__(
        self, method: str, path: str, user: str = "", *, key: str | None = None, **query: Any
    ) -> int:
        """One call; the status."""
        case = SCHEMA[path][method].Case(
            path_parameters={"user": user} if user else None, query=query
        )
        return self.send(case, key)

    def send(self, case: Any, key: str | None = None) -> int:
        """Send a case of Schemathesis; the status."""
        for name in [name for name in case.headers or {} if name.lower() in FRAMING]:
            del case.headers[name]
        headers = {"x-functions-key": self.here.keys.function if key is None else key}
        response = case.call(base_url=self.here.host.url, headers=headers)
        case.validate_response(response, checks=CONFORMANCE)
        status = int(response.status_code)
        self.seen.add((case.method, case.path, status))
        return status


def test_the_document_is_of_this_version() -> None:
    """Version and outcomes are those of the program."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["version"] == __version__
    schemas = DOCUMENT["components"]["schemas"]
    outcomes = [outcome.value for outcome in Outcome]
    assert schemas["Outcome"]["enum"] == outcomes
    assert schemas["Run"]["properties"]["counts"]["propertyNames"]["enum"] == outcomes
    unfinished = {"failed", "deferred"}
    finished = schemas["SyncResult"]["properties"]["outcome"]["enum"]
    assert finished == [outcome for outcome in outcomes if outcome not in unfinished]


def test_every_documented_status_occurs_and_no_other(served: Make) -> None:
    """Each answer is brought about once, and each one is as the document says."""
    here = served(users=3)
    call, faults = Caller(here), here.world.tenant.faults
    user, other, third = here.world.ids()

    def failing(**fault: Any) -> None:
        here.settings(COMPANY=f"Process{here.world.clock.monotonic()}")
        here.world.clock.advance(3600)
        faults.clear()
        faults.add(Fault(times=None, **fault))

    # -- everybody --
    assert call("GET", OVERVIEW) == 200
    assert call("POST", USER, user) == 200
    here.fire()
    assert call("GET", OVERVIEW) == 200
    assert call("GET", OVERVIEW, force="true") == 400
    assert call("GET", OVERVIEW, key="wrong") == 401
    for method in ("GET", "POST"):
        assert call(method, USER, user, key="wrong") == 401
    # -- one user --
    for method in ("GET", "POST"):
        assert call(method, USER, "nobody") == 400
        assert call(method, USER, NOBODY) == 404
    assert call("GET", USER, user) == 200
    assert call("POST", USER, user, pilot="true") == 403
    here.settings(PILOT="true")
    assert call("POST", USER, user, pilot="true") == 200
    assert call("POST", USER, user, dry_run="true", force="true") == 200
    here.world.tenant.directory.set_photo(third, b"no photo")
    assert call("POST", USER, third) == 200
    assert call("GET", USER, third) == 200
    # -- trouble --
    failing(kind="status", status=500, service="graph")
    assert call("POST", USER, user, force="true") == 502
    assert call("GET", USER, "somebody@contoso.com") == 502
    failing(kind="status", status=500, operation="photo.bytes")
    assert call("POST", USER, other, force="true") == 502
    failing(kind="status", status=429, retry_after=600, service="graph")
    assert call("POST", USER, user, force="true") == 503
    assert call("GET", USER, "somebody@contoso.com") == 503
    assert call("GET", OVERVIEW) == 200
    faults.clear()
    here.settings(CLOUD="mars")
    assert call("POST", USER, user) == 500
    assert call("GET", USER, user) == 500
    assert call("GET", OVERVIEW) == 200
    assert call.seen == documented()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), [("GET", OVERVIEW), ("GET", USER), ("POST", USER)])
def test_whatever_is_sent_is_answered_as_documented(
    served: Make, method: str, path: str, mode: GenerationMode
) -> None:
    """Valid and invalid calls, made from the document: no status and no member beyond it."""
    here = served(users=2)
    call = Caller(here)
    cases = SCHEMA[path][method].as_strategy(mode)
    users = st.none() | st.sampled_from(here.world.ids())

    @settings(
        # All six take ten minutes when thorough.
        max_examples=6_000 if THOROUGH else 25,
        deadline=None,
        derandomize=not THOROUGH,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, users)
    def check(case: Any, known: str | None) -> None:
        if known and path == USER:
            case.path_parameters = {"user": known}
        status = call.send(case)
        assert status < 500, "nothing is wrong here but the call"

    check()
