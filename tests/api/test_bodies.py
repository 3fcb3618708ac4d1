"""A body that names an option is refused: ignoring it would turn a dry run into a real one."""

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import answer
from shared.api.bodies import OPTIONS, option_in
from tests.support.served_world import Served

Make = Callable[..., Served]

MULTIPART = (
    b"--b\r\nContent-Disposition: form-data; name=dry_run\r\n\r\ntrue\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="dry_run"\r\n\r\ntrue\r\n--b--\r\n',
)
NAMING = [
    (b"dry_run=true", "dry_run"),  # curl -d dry_run=true; PowerShell -Body @{dry_run='true'}
    (b"force=1&dry_run=true", "force"),
    (b"a=1&pilot=true", "pilot"),
    (b"dry_run", "dry_run"),
    (b"?dry_run=true", "dry_run"),
    (b"dry%5Frun=true", "dry_run"),
    (b"a=1\r\ndry_run=true\r\n", "dry_run"),
    (b"dry-run: true\n", "dry_run"),
    (b"DRY_RUN=true", "dry_run"),
    (b"dryRun=true", "dry_run"),
    (b" dry_run = true", "dry_run"),
    (b'{"dry_run": true}', "dry_run"),
    (b'{"dryRun": true}', "dry_run"),
    (b'{"dry\\u005frun": true}', "dry_run"),
    (b'\xef\xbb\xbf{"dry_run": true}', "dry_run"),
    ('{"dry_run": true}'.encode("utf-16"), "dry_run"),
    ('{"dry_run": true}'.encode("utf-16-be"), "dry_run"),
    (b'{"options": [{"force": true}]}', "force"),
    (b'[{"name": "dry_run", "value": true}]', "dry_run"),
    (b'"dry_run=true"', "dry_run"),
    (b'["pilot"]', "pilot"),
    (b"{dry_run: true}", "dry_run"),  # no JSON, but meant to be
    (b"{'dry_run': True}", "dry_run"),
    (b"@{dry_run='true'}", "dry_run"),
    (b"<options><dry_run>true</dry_run></options>", "dry_run"),
    (b'<options dry_run="true"/>'.replace(b"options ", b""), "dry_run"),
    (MULTIPART[0], "dry_run"),
    (MULTIPART[1], "dry_run"),
    (b'{"a": ' * 5000 + b'{"dry_run": true}', "dry_run"),  # deeper than any parser goes
    (b"[" * 60_000 + b"{'force':1}", "force"),
    (b'{"x": "' + b"a" * 3_000_000 + b'", "dry_run": true}', "dry_run"),
    (b"x=" + b"a" * 3_000_000 + b"&force=true", "force"),
    (b'{"n": ' + b"9" * 20_000 + b', "dry_run": true}', "dry_run"),
]
OTHERS = [
    b"",
    b"{}",
    b"null",
    b'{"input": ""}',
    b'{"comment": "do not use force"}',
    b'{"reason": "pilot"}',
    b"comment=force",
    b"workforce=1&dry_runs=2&copilot=3",
    b"brute force",
    b"\x00" * 1000,
    bytes(range(256)) * 300,
    b"\xff\xfe",
    b"[" * 1900,
    b"[" * 60_000,
    b"&" * 1_000_000,
    b"force" * 1_000_000,
    b"NaN",
]


@pytest.mark.parametrize(("body", "option"), NAMING, ids=lambda value: repr(value)[:40])
def test_an_option_in_a_body_is_found(body: bytes, option: str) -> None:
    """In every form that curl, PowerShell, Python or Power Automate sends."""
    assert option_in(body) == option


@pytest.mark.parametrize("body", OTHERS, ids=lambda body: repr(body)[:40])
def test_another_body_names_no_option(body: bytes) -> None:
    """A word in a value, a longer name, binary data and deep nesting are no options."""
    assert option_in(body) == ""


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_body(body: bytes) -> None:
    """Whatever arrives, the answer is an option or none, never an exception."""
    assert option_in(body) in {"", *OPTIONS}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["force", "x"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=10,
    ),
    st.sampled_from(OPTIONS),
)
def test_an_option_at_any_depth_of_json(document: object, option: str) -> None:
    """The key counts wherever it stands."""
    body = json.dumps({"a": [document], "b": {option: document}}).encode()
    assert option_in(body) != ""


def test_a_body_of_the_largest_size_costs_little() -> None:
    """The host takes bodies of up to 100 MB; they are searched in linear time."""
    small, large = b'{"dry' * 100_000, b'{"dry' * 400_000
    assert _cost(large) < 40 * _cost(small) + 0.1


def _cost(body: bytes) -> float:
    began = time.process_time()
    assert option_in(body) == ""
    return time.process_time() - began


@pytest.mark.parametrize(
    ("method", "query"), [("POST", ""), ("POST", "?force=true"), ("POST", "?code=k"), ("GET", "")]
)
def test_a_call_with_an_option_in_its_body_is_refused(
    served: Make, method: str, query: str
) -> None:
    """400 that names the option and the right form; no request leaves."""
    here = served(users=1)
    user = next(iter(here.world.tenant.directory.people))

    reply = answer(method, user, f"https://localhost/api/sync/{user}{query}", b"dry_run=true")

    assert (reply.status, reply.mimetype) == (400, "application/problem+json")
    problem = json.loads(reply.body)
    assert problem["type"] == "urn:photo-sync:problem:bad-body"
    assert "dry_run" in problem["detail"]
    assert "POST /api/sync/{user}?dry_run=true" in problem["detail"]
    assert here.world.tenant.tape.entries() == []


@pytest.mark.parametrize("body", [b"dry_run=true", b'{"dry_run":true}'])
def test_the_body_reaches_the_function_as_curl_sends_it(served: Make, body: bytes) -> None:
    """Through host and worker: refused, and nothing is written."""
    here = served(users=1)
    user = next(iter(here.world.tenant.directory.people))

    reply = here.send("POST", f"/api/sync/{user}", body=body)

    assert (reply.status, reply.type) == (400, "application/problem+json")
    assert here.world.tenant.tape.entries() == []


def test_any_other_body_is_ignored(served: Make) -> None:
    """Clients that always send a body work."""
    here = served(users=1)
    user = next(iter(here.world.tenant.directory.people))
    reply = here.send("POST", f"/api/sync/{user}", body=b'{"input":""}')
    assert (reply.status, reply.json["outcome"]) == (200, "updated")
