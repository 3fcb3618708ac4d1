"""Tests that measure no coverage, because there every call takes half as long again.

Tests of whole nights, of what runs in other processes or is no part of the program, and of large
matrices over lines that others cover. All other tests together must cover the program.
"""

import pytest

UNMEASURED = (
    "tests/api/test_failures.py",
    "tests/api/test_user.py",
    "tests/checkpoint/test_run_blobs.py",
    "tests/checkpoint/test_run_listing.py",
    "tests/checkpoint/test_store_faults.py",
    "tests/docs/",
    "tests/functions/",
    "tests/http/test_quota.py",
    "tests/http/test_rate_limit.py",
    "tests/infra/",
    "tests/local/",
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
    "tests/sync/test_scope_settings.py",
    "tests/sync/test_state.py",
    "tests/sync/test_state_machine.py",
    "tests/sync/test_stops.py",
    "tests/sync/test_survivors.py",
    "tests/sync/test_two_hosts.py",
    "tests/sync/test_two_writers.py",
    "tests/sync/test_upgrade.py",
)
"""Files, and folders with a slash at the end, from the project's root."""


def mark(items: list[pytest.Item]) -> None:
    """Tell the coverage plugin, where it is at work, which tests it leaves alone."""
    for item in items:
        if item.nodeid.startswith(UNMEASURED):
            item.add_marker(pytest.mark.no_cover)
