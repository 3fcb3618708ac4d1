"""Tests that measure no coverage, because there every call takes half as long again.

Tests of whole nights, of what runs in other processes or is no part of the program, and of large
matrices over lines that others cover. All other tests together must cover the program.

The marker `no_cover` of pytest-cov does less. It measures a test's fixtures: a server that a
fixture starts then has a traced thread, and while one thread of a process is traced, Python is
slower in all of them. And in processes of pytest-xdist two measurements are under way, one inside
the other, of which the marker ends one and so resumes the other.
"""

from collections.abc import Generator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from coverage import Coverage

import shared

UNMEASURED = (
    "tests/api/test_failures.py",
    "tests/api/test_openapi.py",
    "tests/api/test_user.py",
    "tests/checkpoint/test_run_blobs.py",
    "tests/checkpoint/test_run_listing.py",
    "tests/checkpoint/test_store_faults.py",
    "tests/docs/",
    "tests/functions/",
    "tests/http/test_quota.py",
    "tests/http/test_rate_limit.py",
    "tests/http/test_response.py::test_a_megabyte_of_text_is_read_in_linear_time",
    "tests/infra/",
    "tests/local/",
    "tests/photos/test_damage.py",
    "tests/photos/test_limits.py",
    "tests/pilot/test_pilot_faults.py",
    "tests/portal/browser/",
    "tests/recipes/",
    "tests/sharepoint/test_client.py",
    "tests/sharepoint/test_client_faults.py",
    "tests/sync/test_before_clearing.py",
    "tests/sync/test_canary.py",
    "tests/sync/test_changes_between_firings.py",
    "tests/sync/test_costs.py",
    "tests/sync/test_dry_run.py",
    "tests/sync/test_failures.py",
    "tests/sync/test_failures_storage.py",
    "tests/sync/test_first_write.py",
    "tests/sync/test_geo_and_retention.py",
    "tests/sync/test_gone_means_proven_gone.py",
    "tests/sync/test_kill.py",
    "tests/sync/test_leavers_nights.py",
    "tests/sync/test_nightly.py",
    "tests/sync/test_nightly_users.py",
    "tests/sync/test_outages.py",
    "tests/sync/test_poison.py",
    "tests/sync/test_removals.py",
    "tests/sync/test_resume.py",
    "tests/sync/test_reverify.py",
    "tests/sync/test_scope.py::test_a_listing_shorter_than_announced_is_not_trusted",
    "tests/sync/test_scope.py::test_memory",
    "tests/sync/test_scope_settings.py",
    "tests/sync/test_state.py",
    "tests/sync/test_state_machine.py",
    "tests/sync/test_stops.py",
    "tests/sync/test_survivors.py",
    "tests/sync/test_two_hosts.py",
    "tests/sync/test_two_writers.py",
    "tests/sync/test_upgrade.py",
)
"""Folders with a slash at the end, files, and tests, from the project's root."""


_stopped: list[Coverage] = []
"""Measurements that go on with the next test that is measured: stopping and starting takes time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Measure how the program is imported, but not how tests are found."""
    if Coverage.current() is None:
        return
    for module in walk_packages(shared.__path__, "shared."):
        import_module(module.name)
    _stop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Leave these tests and their fixtures alone."""
    if item.nodeid.startswith(UNMEASURED):
        _stop()
    else:
        _go_on()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any],
) -> Generator[None, object, object]:
    """Leave a fixture alone whose threads would be traced in later tests."""
    if fixturedef.scope == "function" or Coverage.current() is None:
        return (yield)
    _stop()
    try:
        return (yield)
    finally:
        _go_on()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Leave everything to the coverage plugin as it was."""
    _go_on()


def _stop() -> None:
    while (running := Coverage.current()) is not None:
        running.stop()
        _stopped.append(running)


def _go_on() -> None:
    while _stopped:
        _stopped.pop().start()
