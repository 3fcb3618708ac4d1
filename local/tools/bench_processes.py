"""The processes of a measurement: the emulated tenant, and the one that is measured."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from local.support.azurite import Azurite
from local.support.stack import ROOT

_START_SECONDS = 300


class Tenant:
    """An emulated tenant of ordinary people in a process of its own.

    Args:
        settings: as the tenant printed them.
        users: people in it.
    """

    def __init__(self, settings: Mapping[str, str], users: int) -> None:
        self._settings = settings
        self.users = users

    def ask(self, what: str) -> dict[str, Any]:
        """Ask the control interface."""
        found: dict[str, Any] = self._send("GET", what).json()
        return found

    def change(self, count: int, seed: int) -> None:
        """Replace some people's photos."""
        self._send("POST", "change", json={"count": count, "seed": seed})

    def settings(self, azurite: Azurite, container: str) -> dict[str, str]:
        """Application settings for the measured process."""
        return {
            **self._settings,
            "AzureWebJobsStorage": azurite.connection_string,
            "CHECKPOINT_CONTAINER": container,
            "RUN_INTERVAL_HOURS": "0",
            "TIME_BUDGET_SECONDS": "3300",
        }

    def measure(self, work: str, config: Mapping[str, str]) -> dict[str, Any]:
        """Do the work in a fresh process; what it cost, and what the tenant saw of it."""
        self._send("POST", "tape/clear")
        before = self.ask("cpu")["seconds"]
        found = measure(work, config)
        found["tenant_cpu"] = self.ask("cpu")["seconds"] - before
        found["tape"] = self.ask("tape/summary")
        return found

    def night(self, config: Mapping[str, str]) -> dict[str, Any]:
        """Measure a nightly run, which has to complete."""
        found = self.measure("night", config)
        if found["result"]["status"] != "completed":
            raise SystemExit(f"the run ended as {found['result']}")
        return found

    def _send(self, method: str, what: str, **options: Any) -> requests.Response:
        url = f"{self._settings['CONTROL_URL']}/{what}"
        answer = requests.request(method, url, timeout=300, **options)
        answer.raise_for_status()
        return answer


@contextmanager
def tenant(users: int, options: Sequence[str] = ()) -> Iterator[Tenant]:
    """Start a tenant, with options of `python -m local.tenant`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        always = ["--users", str(users), "--plain", "--print-settings", str(file)]
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "local.tenant", *always, *options],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the emulated tenant did not start")
                time.sleep(0.1)
            yield Tenant(json.loads(file.read_text()), users)
        finally:
            process.terminate()
            process.wait()


def measure(work: str, config: Mapping[str, str]) -> dict[str, Any]:
    """Do the work (see `local.tools.measured`) in a fresh process and read what it cost."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "local.tools.measured", work],
        cwd=ROOT,
        env={**os.environ, **config},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Steps:
    """Says what is measured now, how long that takes, and how long it took."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        minutes = max(1, round(seconds / 60))
        print(f"This takes about {minutes} minutes on two cores with nothing else to do.")

    @contextmanager
    def step(self, what: str, seconds: float) -> Iterator[None]:
        """Name a step before it begins, and tell its time when it has ended."""
        began = time.monotonic()
        print(f"{what}: about {seconds:.0f} s ...", flush=True)
        yield
        now = time.monotonic()
        print(
            f"{what}: took {now - began:.0f} s; {now - self._began:.0f} of about "
            f"{self._seconds:.0f} s are over",
            flush=True,
        )
