"""A call for one user imports only what it needs, so the first call is fast."""

import json
import subprocess
import sys

import pytest

from tests.support.served_world import ROOT

NOT_NEEDED = [
    "shared.checks",
    "shared.pilot",
    "shared.portal",
    "PIL",
    "azure.identity",
    "msal",
]

IMPORT = """
import json, sys
from shared.api import answer
print(json.dumps(sorted(sys.modules)))
"""

REFUSED = """
import json, os, sys
os.environ.clear()
from shared.api import answer
reply = answer("POST", "adele@contoso.com", "https://localhost/api/sync/adele@contoso.com", b"")
assert reply.status == 500, reply
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module", params=[IMPORT, REFUSED], ids=["imported", "called"])
def modules(request: pytest.FixtureRequest) -> set[str]:
    """Modules of a fresh process that has imported the API, or answered a call."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-c", request.param], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_a_call_for_one_user_does_not_import(modules: set[str], name: str) -> None:
    """Neither checks nor pilot nor pages; image and token libraries only when they are used."""
    found = [module for module in modules if f"{module}.".startswith(f"{name}.")]
    assert found == [], "import it inside of the function that needs it"
    assert "shared.sync.on_demand" in modules
