"""What a call for one user takes of its own, beside what the services take."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.support.azurite import Azurite
from local.support.stack import ROOT
from local.tools.bench_pace import covered
from local.tools.bench_processes import Tenant
from local.tools.measured import CALLS

MOST_REQUESTS = 8
MOST_OWN_SECONDS = 0.150

_IMPORT = """
import json, resource, sys, time
bare = set(sys.modules)
began, cpu = time.perf_counter(), time.process_time()
import shared.api
print(json.dumps({
    "wall": time.perf_counter() - began,
    "cpu": time.process_time() - cpu,
    "modules": len(set(sys.modules) - bare),
    "ours": sum(name.split(".")[0] == "shared" for name in sys.modules),
}))
"""
_IMPORTS = 5


@dataclass(frozen=True)
class Calls:
    """Warm calls for one user, each for another one.

    Attributes:
        requests: to Graph, SharePoint and the identity endpoint, the most that a call sent.
        walls: seconds that each call took.
        own: of them, seconds in which no service worked for it.
    """

    requests: int
    walls: Sequence[float]
    own: Sequence[float]

    @property
    def are_bounded(self) -> bool:
        """Whether the typical call keeps the promise; single ones depend on the machine."""
        return self.requests <= MOST_REQUESTS and statistics.median(self.own) <= MOST_OWN_SECONDS

    def __str__(self) -> str:
        """One line."""
        return (
            f"{len(self.walls)} warm calls: at most {self.requests} requests; "
            f"{statistics.median(self.walls):.2f} s (median), of which our own "
            f"{statistics.median(self.own) * 1000:.0f} ms (median), "
            f"{max(self.own) * 1000:.0f} ms (longest)"
        )


def measure_calls(tenant: Tenant, azurite: Azurite) -> Calls:
    """Call for one user after the other, in one process; the first call is left out."""
    ids = [one["id"] for one in tenant.ask("people")["people"][:CALLS]]
    config = tenant.settings(azurite, "calls") | {"MEASURED_USERS": json.dumps(ids)}
    found = tenant.measure("calls", config)
    return split(found["result"]["calls"], found["storage"]["times"], tenant.ask("tape/times"))


def split(
    calls: Sequence[Sequence[float]],
    storage: Sequence[Sequence[float]],
    tape: dict[str, Any],
) -> Calls:
    """Take the services' time from the calls' time.

    Args:
        calls: begin and end of each.
        storage: begin and end of each exchange with storage, as the caller saw them.
        tape: the tenant's `tape/times`: begin and end of each answer, as the tenant saw them, so
            that sending, receiving and waiting for a connection count as our own.
    """
    answers = [(started, ended) for _, _, started, ended, *_ in tape["entries"]]
    exchanges = [(began, ended) for began, ended in storage]
    warm = calls[1:]
    walls = [ended - began for began, ended in warm]
    services = [covered([*answers, *exchanges], began, ended) for began, ended in warm]
    sent = [sum(began <= start <= ended for start, _ in answers) for began, ended in warm]
    own = [wall - service for wall, service in zip(walls, services, strict=True)]
    return Calls(max(sent), walls, own)


def imports() -> str:
    """What a fresh process imports before its first call, and how long that takes; one line."""
    runs = [
        json.loads(
            subprocess.run(  # noqa: S603 - our own command line
                [sys.executable, "-c", _IMPORT],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )
        for _ in range(_IMPORTS)
    ]
    wall, cpu = (statistics.median(run[name] for run in runs) for name in ("wall", "cpu"))
    return (
        f"A cold process imports {runs[0]['modules']} modules, {runs[0]['ours']} of them ours, in "
        f"{wall:.2f} s ({cpu:.2f} s of CPU), median of {_IMPORTS}; no image or token library "
        "before it is used"
    )
