"""Promise 3 with a real process: SIGKILL while the function runs under Microsoft's worker."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
import requests

from local.tenant import Fault
from tests.support.oracle import Oracle
from tests.support.process_death import free_lease
from tests.support.sampling import sample
from tests.support.world import World

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 60


@contextmanager
def host(here: World) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The functions host in a process of its own, and its address."""
    keys = {"LOCAL_FUNCTION_KEY": "function", "LOCAL_MASTER_KEY": "master"}
    environment = {**os.environ, **here.settings, **keys, "SYNC_SCHEDULE": "0 0 3 * * *"}
    with subprocess.Popen(
        [sys.executable, "-m", "local.host", "--until-eof", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize(
    ("operation", "nth", "when"),
    sample(
        [
            ("photo.batch", 1, "before"),
            ("file.upload", 5, "after"),
            ("profile.write", 2, "after"),
            ("profile.write", 8, "before"),
        ],
        every=2,
    ),
)
def test_a_killed_process_loses_nothing(
    world: Callable[..., World], operation: str, nth: int, when: Literal["before", "after"]
) -> None:
    """No record claims what is not there; the next firing ends as if nothing had happened."""
    here = world(users=30, plain=False, shards=4)
    with host(here) as (process, url):
        here.tenant.faults.add(
            Fault("call", operation=operation, nth=nth, when=when, action=process.kill)
        )
        fired = requests.post(
            f"{url}/admin/functions/SyncTimer",
            headers={"x-functions-key": "master"},
            json={"input": ""},
            timeout=WAIT_SECONDS,
        )
        assert fired.status_code == 202
        assert process.wait(WAIT_SECONDS) == -9
    oracle = Oracle(here)
    assert oracle.false_claims() == []
    free_lease(here)

    oracle.verify(here.fire())

    here.night(RUN_INTERVAL_HOURS="0")
    assert here.writes() == []
