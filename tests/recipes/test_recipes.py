"""A new setting, outcome, check or problem fails a test for each place that is missing.

Each recipe of CONTRIBUTING.md names at most five places. A test here fails for each place that is
missing, and its message says what to add where.
"""

import json
import re
from functools import cache

import pytest

from local.tools import settings_table
from shared.api.problems import TITLES
from shared.checks import NAMES
from shared.checks.portal import NAMES as PORTAL_NAMES
from shared.config import SETTINGS, Setting
from shared.model import Outcome
from tests.config.test_settings import VALUES
from tests.support.served_world import ROOT

FIXED = {"MANAGED_IDENTITY_CLIENT_ID", "CHECKPOINT_CONNECTION"}
"""The template decides these itself."""


@cache
def text(path: str) -> str:
    """A file of the project."""
    return (ROOT / path).read_text("utf-8")


def parameter(setting: Setting) -> str:
    """The template parameter that sets a setting; "" when there is none."""
    parameters = json.loads(text("infra/main.parameters.json"))["parameters"]
    wanted = f"${{{setting.name}}}"
    return next((name for name, entry in parameters.items() if entry["value"] == wanted), "")


deployed = pytest.mark.parametrize(
    "setting", [s for s in SETTINGS if s.name not in FIXED], ids=lambda setting: setting.name
)


# -- a setting: declared in shared/config/settings.py --


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_is_described_in_the_reference(setting: Setting) -> None:
    """Generated from the declaration, so only the command has to be run."""
    entry = settings_table.entry(setting)
    assert entry in text("docs/reference.md"), "run: python -m local.tools.settings_table"


@deployed
def test_a_setting_has_an_azd_value(setting: Setting) -> None:
    """`azd env set NAME value` reaches the template."""
    assert parameter(setting), (
        f'add a parameter with the value "${{{setting.name}}}" to infra/main.parameters.json'
    )


@deployed
def test_a_setting_is_a_parameter_of_the_template(setting: Setting) -> None:
    """The template declares the parameter and passes it on as application setting."""
    name, template = parameter(setting), text("infra/main.bicep")
    assert re.search(rf"^param {name}\b", template, re.MULTILINE), (
        f"declare param {name} in infra/main.bicep"
    )
    assert re.search(rf"^\s*{setting.name}: ", template, re.MULTILINE), (
        f"pass {setting.name} on in infra/main.bicep"
    )


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_is_tested_with_good_and_bad_values(setting: Setting) -> None:
    """What is accepted and what is refused stands in the tables of the tests."""
    good, bad = VALUES
    assert setting.name in good, f"add an accepted value of {setting.name} to ACCEPTED"
    assert setting.name in bad, f"add a refused value of {setting.name} to REFUSED"


# -- an outcome: declared in shared/model.py --


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_explained_and_published(outcome: Outcome) -> None:
    """The operator's table and the machine interface know it."""
    assert f"\n| `{outcome}` | " in text("docs/operate.md"), (
        f"add a row for {outcome} to the outcomes in docs/operate.md"
    )
    schemas = json.loads(text("docs/openapi.json"))["components"]["schemas"]
    assert outcome.value in schemas["Outcome"]["enum"], (
        f"add {outcome} to the schema Outcome in docs/openapi.json"
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_has_its_texts(outcome: Outcome) -> None:
    """The portal says it in every language."""
    for path in sorted((ROOT / "shared" / "portal" / "i18n").glob("*.json")):
        assert f"outcome.{outcome}.name" in json.loads(path.read_text("utf-8")), (
            f"add outcome.{outcome}, .name and .next to shared/portal/i18n/{path.name}"
        )


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_occurs_in_a_night(outcome: Outcome) -> None:
    """Some night of the tests ends with it."""
    assert re.search(
        rf'Outcome\.{outcome.name}\b|"{outcome}"', text("tests/sync/test_nightly.py")
    ), f"add a night with {outcome} to tests/sync/test_nightly.py"


# -- a check: named in shared/checks/check.py --


@pytest.mark.parametrize("name", [*NAMES, *PORTAL_NAMES])
def test_a_check_is_explained(name: str) -> None:
    """The operator's page says which question it answers."""
    assert f"\n| `{name}` | " in text("docs/operate.md"), (
        f"add a row for '{name}' to the checks in docs/operate.md"
    )


@pytest.mark.parametrize("name", [*NAMES, *PORTAL_NAMES])
def test_a_check_is_tested(name: str) -> None:
    """Some test asks for it by its name."""
    tests = [
        path for part in ("checks", "portal") for path in (ROOT / "tests" / part).rglob("*.py")
    ]
    assert any(f'"{name}"' in path.read_text("utf-8") for path in tests), (
        f"add a test of '{name}' to tests/checks"
    )


# -- a problem of the API: titled in shared/api/problems.py --


@pytest.mark.parametrize("kind", TITLES)
def test_a_problem_is_tested(kind: str) -> None:
    """Some test of the API or of the pilot brings it about."""
    tests = [
        path.read_text("utf-8")
        for folder in ("api", "pilot")
        for path in sorted((ROOT / "tests" / folder).glob("*.py"))
    ]
    quoted = re.compile(rf'"(?:urn:photo-sync:problem:)?{kind}"')
    assert any(quoted.search(found) for found in tests), (
        f"add a test in which a call is answered by {kind}"
    )


def test_only_titled_problems_are_raised() -> None:
    """Every kind of problem that is raised has a title."""
    shared = ROOT / "shared"
    sources = "".join(
        path.read_text("utf-8")
        for path in (shared / "problem.py", *sorted((shared / "api").glob("*.py")))
    )
    raised = set(re.findall(r'HTTPStatus\.[A-Z_]+,\s*"([a-z-]+)"', sources))
    assert raised
    assert raised <= TITLES.keys(), f"add titles for {sorted(raised - TITLES.keys())}"
