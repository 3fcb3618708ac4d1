"""`make bench`: what a night costs, counted on the tenant's tape and measured in our process.

Requests, units and bytes are exact. CPU time and memory are the sync process's own, the tenant and
storage run beside it; wall time depends on the machine and on the emulated tenant.
"""

import argparse
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

from local.support.arguments import positive
from local.support.azurite import Azurite
from local.support.stack import ROOT
from local.support.terminal import bold, table
from local.tools import photo_costs

_SIZES = (1_000, 10_000, 100_000)
_FIRST_RUN_UP_TO = 10_000
_CHANGED = 100
_SCRIPT_USERS = 1_000

_LARGEST_QUOTA_UNITS = 6_250
"""Of an app, a minute, above 50,000 licences (SharePoint docs, "Avoid getting throttled")."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.bench", description=__doc__)
    parser.add_argument(
        "--users", type=positive, nargs="*", default=_SIZES, help="sizes of the tenants to measure"
    )
    sizes = parser.parse_args(arguments).users
    print(
        "Tenants of up to 100,000 people take about 30 minutes; each part is printed.", flush=True
    )
    with Azurite() as azurite:
        with _tenant(min(sizes)) as settings:
            idle = _measure("idle", _settings(settings, azurite, "idle"))
        rows: dict[str, list[list[str]]] = {"first": [], "unchanged": [], "changed": []}
        script: dict[str, Any] | None = None
        peaks: list[tuple[int, int]] = []
        for users in sizes:
            print(f"{users:,} users: measuring", flush=True)
            with _tenant(users) as tenant:
                config = _settings(tenant, azurite, f"bench-{users}")
                if users <= _FIRST_RUN_UP_TO:
                    rows["first"].append(_row(users, users, _night(config, tenant)))
                else:
                    print(f"{users:,} users: seeding the checkpoint", flush=True)
                    _measure("seed", config)
                unchanged = _night(config, tenant)
                rows["unchanged"].append(_row(users, users, unchanged))
                peaks.append((users, unchanged["peak"]))
                rows["changed"].append(_changed(users, config, tenant, unchanged))
                if users == _SCRIPT_USERS:
                    script = _on_tape("script", config, tenant)
    _print(rows, script, peaks, idle)
    photos = photo_costs.measure_all()
    print(f"\n{bold('Photos')}\n{photos}")
    return 0 if photos.are_bounded else 1


def _changed(
    users: int, config: Mapping[str, str], tenant: Mapping[str, str], unchanged: dict[str, Any]
) -> list[str]:
    """A night with some changed photos; what one of them costs above the unchanged night."""
    requests.post(
        f"{tenant['CONTROL_URL']}/change", json={"count": _CHANGED, "seed": users}, timeout=60
    ).raise_for_status()
    night = _night(config, tenant)
    for part in ("by_service", "units"):
        for name, value in unchanged["tape"][part].items():
            night["tape"][part][name] -= value
    for part in ("requests", "request_bytes", "response_bytes"):
        night["tape"][part] -= unchanged["tape"][part]
    night["cpu"] -= unchanged["cpu"]
    night["tenant_cpu"] -= unchanged["tenant_cpu"]
    counts = night["result"]["counts"]
    if counts["updated"] != _CHANGED:
        raise SystemExit(f"expected {_CHANGED} updated, got {counts}")
    return _row(users, _CHANGED, night)


def _row(users: int, divisor: int, night: dict[str, Any]) -> list[str]:
    """Figures per user (of `divisor` users), and the whole of the process."""
    tape, services = night["tape"], night["tape"]["by_service"]
    units = sum(tape["units"].values())
    return [
        f"{users:,}",
        f"{tape['requests'] / divisor:.4f}",
        f"{services.get('graph', 0) / divisor:.4f}",
        f"{services.get('sharepoint', 0) / divisor:.4f}",
        f"{units / divisor:.3f}",
        f"{tape['response_bytes'] / divisor / 1024:.2f}",
        f"{tape['request_bytes'] / divisor / 1024:.2f}",
        f"{night['cpu'] / divisor * 1000:.2f}",
        f"{night['tenant_cpu'] / divisor * 1000:.2f}",
        f"{night['wall']:.1f}",
        f"{night['peak'] / 2**20:.0f}",
    ]


_HEAD = (
    "users",
    "requests",
    "Graph",
    "SharePoint",
    "units",
    "kB in",
    "kB out",
    "CPU s/1000",
    "tenant's",
    "wall s",
    "peak MB",
)


def _print(
    rows: dict[str, list[list[str]]],
    script: dict[str, Any] | None,
    peaks: list[tuple[int, int]],
    idle: dict[str, Any],
) -> None:
    print(bold("\nFirst run, everybody has a photo: per user"))
    print(table(_HEAD, rows["first"]))
    print(bold("\nNothing changed: per user (the requests are all there are, tokens included)"))
    print(table(_HEAD, rows["unchanged"]))
    print(bold(f"\n{_CHANGED} photos changed: per changed user, above the unchanged night"))
    print(table(_HEAD, rows["changed"]))
    for row in rows["first"][-1:]:
        minute = 60_000 / float(row[7])
        print(
            f"On a first run our CPU would allow {minute:,.0f} users a minute; the largest quota "
            f"that SharePoint gives an app ({_LARGEST_QUOTA_UNITS:,} units a minute) allows "
            f"{_LARGEST_QUOTA_UNITS / float(row[4]):,.0f}."
        )
    if script:
        print(bold(f"\nThe usual script, {_SCRIPT_USERS:,} users, every night: per user"))
        print(table(_HEAD, [_row(_SCRIPT_USERS, _SCRIPT_USERS, script)]))
        ours = next((row for row in rows["unchanged"] if row[0] == f"{_SCRIPT_USERS:,}"), None)
        if ours:
            ratio = script["tape"]["requests"] / _SCRIPT_USERS / float(ours[1])
            print(f"It sends {ratio:.0f} times as many requests as we do when nothing changed.")
    print(f"\nMemory without any user: {idle['peak'] / 2**20:.0f} MB.")
    if len(peaks) > 1:
        (few, low), (many, high) = peaks[0], peaks[-1]
        growth = (high - low) / (many - few)
        print(f"Growth from {few:,} to {many:,} unchanged users: {growth:.0f} bytes a user.")


def _night(config: Mapping[str, str], tenant: Mapping[str, str]) -> dict[str, Any]:
    print(f"{config['CHECKPOINT_CONTAINER']}: a night", flush=True)
    night = _on_tape("night", config, tenant)
    if night["result"]["status"] != "completed":
        raise SystemExit(f"the run ended as {night['result']}")
    return night


def _on_tape(work: str, config: Mapping[str, str], tenant: Mapping[str, str]) -> dict[str, Any]:
    """Do the work, and add what the tenant saw of it and what it cost the tenant."""
    _clear(tenant)
    before = _ask(tenant, "cpu")["seconds"]
    found = _measure(work, config)
    found["tenant_cpu"] = _ask(tenant, "cpu")["seconds"] - before
    found["tape"] = _ask(tenant, "tape/summary")
    return found


def _measure(work: str, config: Mapping[str, str]) -> dict[str, Any]:
    """Do the work in a fresh process and read what it cost."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "local.tools.measured", work],
        cwd=ROOT,
        env={**os.environ, **config},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _settings(tenant: Mapping[str, str], azurite: Azurite, container: str) -> dict[str, str]:
    ours = {key: value for key, value in tenant.items() if key != "CONTROL_URL"}
    return {
        **ours,
        "AzureWebJobsStorage": azurite.connection_string,
        "CHECKPOINT_CONTAINER": container,
        "RUN_INTERVAL_HOURS": "0",
        "TIME_BUDGET_SECONDS": "3300",
    }


def _ask(tenant: Mapping[str, str], what: str) -> dict[str, Any]:
    answer = requests.get(f"{tenant['CONTROL_URL']}/{what}", timeout=60)
    found: dict[str, Any] = answer.json()
    return found


def _clear(tenant: Mapping[str, str]) -> None:
    requests.post(f"{tenant['CONTROL_URL']}/tape/clear", timeout=60).raise_for_status()


@contextmanager
def _tenant(users: int) -> Iterator[dict[str, str]]:
    """A tenant of ordinary people in a process of its own; gives its settings."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        options = ["--users", str(users), "--plain", "--print-settings", str(file)]
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "local.tenant", *options], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        try:
            while not file.exists():
                if process.poll() is not None:
                    raise SystemExit("the emulated tenant did not start")
                time.sleep(0.1)
            yield json.loads(file.read_text())
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
