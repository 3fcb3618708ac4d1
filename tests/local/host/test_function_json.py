"""Our two functions as Azure will index them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.host import Worker, read_functions
from shared.config.schedule import Schedule

ROOT = Path(__file__).parents[3]
FUNCTIONS = {function.name: function for function in read_functions(ROOT)[0]}


def test_there_are_three_functions() -> None:
    assert set(FUNCTIONS) == {"SyncTimer", "SyncHttp", "Portal"}


def test_it_stays_a_v1_app() -> None:
    """One file of this name would make Azure load no function at all."""
    assert not list(ROOT.glob("function_app*"))


def test_timer_binding() -> None:
    """Scheduled by the setting, catching up a missed firing, never at mere start-up."""
    trigger = FUNCTIONS["SyncTimer"].trigger
    assert trigger.type == "timerTrigger"
    assert trigger.properties["schedule"] == "%SYNC_SCHEDULE%"
    assert trigger.properties["runOnStartup"] is False
    assert trigger.properties["useMonitor"] is True


def test_http_binding() -> None:
    trigger = FUNCTIONS["SyncHttp"].trigger
    assert trigger.type == "httpTrigger"
    assert trigger.properties["authLevel"] == "function"
    assert trigger.properties["route"] == "sync/{user?}"
    assert sorted(trigger.properties["methods"]) == ["get", "post"]
    assert [b.type for b in FUNCTIONS["SyncHttp"].bindings if b.name == "$return"] == ["http"]


def test_host_json_fits_the_bindings() -> None:
    document = json.loads((ROOT / "host.json").read_text())
    assert document["version"] == "2.0"
    assert document["extensions"]["http"]["routePrefix"] == "api"


def test_sample_settings_start_a_host() -> None:
    """The sample has what indexing needs, a valid schedule, and writes nothing by default."""
    values = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    Schedule.parse(values["SYNC_SCHEDULE"])
    assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert values["DRY_RUN"] == "true"


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Our app under Microsoft's worker library."""
    with Worker(ROOT) as running:
        yield running


def test_microsofts_worker_loads_all(worker: Worker) -> None:
    """Signatures, annotations and imports are what the library accepts."""
    assert worker.errors == {}
    assert worker.refused == {}
    assert {function.name for function in worker.functions} == {"SyncTimer", "SyncHttp", "Portal"}
