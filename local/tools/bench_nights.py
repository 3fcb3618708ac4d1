"""Nights over tenants of several sizes: requests, units, bytes, CPU, memory, storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.support.azurite import Azurite
from local.support.terminal import bold, table
from local.tools.bench_costs import Line
from local.tools.bench_processes import Steps, Tenant, tenant

MILLION = 1_000_000
ORDINARY_SHARE = 0.005
"""Of all users, who have another photo in an ordinary night."""

MOST_MEMORY_BYTES = 250e6
MOST_STORAGE_BYTES = 2e9
MOST_SHARD_WRITES = 2

SECONDS_PER_THOUSAND = 0.6
"""What an unchanged thousand takes on two cores, tenant and storage included."""
SECONDS_PER_CHANGED = 0.04
SECONDS_TO_BEGIN = 5.0

HEAD = (
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
_STORAGE_HEAD = (
    "users",
    "changed",
    "writes",
    "reads",
    "lists",
    "others",
    "MB in",
    "MB out",
    "kB/changed",
    "operations/changed",
    "writes of a shard",
    "peak MB",
)


@dataclass(frozen=True)
class Nights:
    """Measured nights of one tenant.

    Attributes:
        users: in it.
        first: everybody is written; None where the checkpoint was seeded instead.
        unchanged: nothing changed since.
        ordinary: `ORDINARY_SHARE` changed.
        changed: how many that were.
    """

    users: int
    first: dict[str, Any] | None
    unchanged: dict[str, Any]
    ordinary: dict[str, Any]
    changed: int


def seconds(users: int, *, first: bool) -> float:
    """About how long `measure_nights` takes."""
    changed = users * ORDINARY_SHARE * SECONDS_PER_CHANGED
    written = users * SECONDS_PER_CHANGED if first else users / 1000 * SECONDS_PER_THOUSAND / 4
    return SECONDS_TO_BEGIN + users / 1000 * SECONDS_PER_THOUSAND * 2 + changed + written


def measure_nights(steps: Steps, azurite: Azurite, users: int, *, first: bool) -> Nights:
    """Measure one size.

    Args:
        steps: told of the progress.
        azurite: running storage.
        users: in the tenant.
        first: measure a first run; else the checkpoint is written as one would leave it.
    """
    with (
        steps.step(f"Nights of {users:,} users", seconds(users, first=first)),
        tenant(users) as here,
    ):
        config = here.settings(azurite, f"bench-{users}")
        written = here.night(config) if first else None
        if not first:
            here.measure("seed", config)
        return _after(here, config, written)


def _after(here: Tenant, config: Mapping[str, str], first: dict[str, Any] | None) -> Nights:
    unchanged = here.night(config)
    changed = max(1, round(here.users * ORDINARY_SHARE))
    here.change(changed, seed=here.users)
    ordinary = here.night(config)
    counts = ordinary["result"]["counts"]
    if counts["updated"] != changed:
        raise SystemExit(f"expected {changed} updated, got {counts}")
    return Nights(here.users, first, unchanged, ordinary, changed)


def print_nights(found: Sequence[Nights], idle: dict[str, Any]) -> None:
    """Print the tables of requests, CPU and memory."""
    firsts = [row(one.users, one.users, one.first) for one in found if one.first]
    if firsts:
        print(bold("\nFirst run, everybody has a photo: per user"))
        print(table(HEAD, firsts))
    print(bold("\nNothing changed: per user (the requests are all there are, tokens included)"))
    print(table(HEAD, [row(one.users, one.users, one.unchanged) for one in found]))
    print(bold(f"\n{ORDINARY_SHARE:.1%} changed: per changed user, above the unchanged night"))
    print(table(HEAD, [row(one.users, one.changed, above(one)) for one in found]))
    print(f"\nMemory of a process that does nothing: {idle['peak'] / 1e6:.0f} MB.")


def print_storage(found: Sequence[Nights]) -> None:
    """Print what the nights did to storage."""
    print(bold("\nStorage in a night with 0.5 % changed (bytes with headers, as sent)"))
    print(table(_STORAGE_HEAD, [_storage_row(one) for one in found]))


def above(nights: Nights) -> dict[str, Any]:
    """The night with changes without what the unchanged one cost."""
    night, quiet = nights.ordinary, nights.unchanged
    tape = dict(night["tape"])
    for part in ("by_service", "units"):
        tape[part] = {
            name: value - quiet["tape"][part].get(name, 0) for name, value in tape[part].items()
        }
    for part in ("requests", "request_bytes", "response_bytes"):
        tape[part] -= quiet["tape"][part]
    return {
        **night,
        "tape": tape,
        "cpu": night["cpu"] - quiet["cpu"],
        "tenant_cpu": night["tenant_cpu"] - quiet["tenant_cpu"],
    }


def row(users: int, divisor: int, night: dict[str, Any]) -> list[str]:
    """Figures per user (of `divisor` users), and the whole of the process."""
    tape, services = night["tape"], night["tape"]["by_service"]
    return [
        f"{users:,}",
        f"{tape['requests'] / divisor:.4f}",
        f"{services.get('graph', 0) / divisor:.4f}",
        f"{services.get('sharepoint', 0) / divisor:.4f}",
        f"{sum(tape['units'].values()) / divisor:.3f}",
        f"{tape['response_bytes'] / divisor / 1e3:.2f}",
        f"{tape['request_bytes'] / divisor / 1e3:.2f}",
        f"{night['cpu'] / divisor * 1000:.2f}",
        f"{night['tenant_cpu'] / divisor * 1000:.2f}",
        f"{night['wall']:.1f}",
        f"{night['peak'] / 1e6:.0f}",
    ]


def traffic(night: dict[str, Any]) -> float:
    """Bytes to and from storage."""
    storage = night["storage"]
    return float(storage["sent"] + storage["received"])


def _storage_row(one: Nights) -> list[str]:
    storage = one.ordinary["storage"]
    kinds = storage["operations"]
    return [
        f"{one.users:,}",
        f"{one.changed:,}",
        *(f"{kinds.get(kind, 0):,}" for kind in ("write", "read", "list", "other")),
        f"{storage['received'] / 1e6:.1f}",
        f"{storage['sent'] / 1e6:.1f}",
        f"{traffic(one.ordinary) / one.changed / 1e3:.1f}",
        f"{sum(kinds.values()) / one.changed:.2f}",
        f"{storage['most_writes_of_a_shard']}",
        f"{one.ordinary['peak'] / 1e6:.0f}",
    ]


@dataclass(frozen=True)
class Projection:
    """A million users on the straight lines through the two largest measured sizes.

    Attributes:
        memory: peak of the process, in bytes.
        traffic: to and from storage in a night with 0.5 % changed, in bytes.
    """

    memory: Line
    traffic: Line

    @classmethod
    def of(cls, found: Sequence[Nights]) -> "Projection":
        """Through the two largest sizes; there have to be two."""
        few, many = sorted(found, key=lambda one: one.users)[-2:]

        def line(few_value: float, many_value: float) -> Line:
            return Line.through((few.users, few_value), (many.users, many_value))

        return cls(
            memory=line(few.ordinary["peak"], many.ordinary["peak"]),
            traffic=line(traffic(few.ordinary), traffic(many.ordinary)),
        )

    @property
    def is_bounded(self) -> bool:
        """Whether a million keep the promises."""
        return (
            self.memory.at(MILLION) < MOST_MEMORY_BYTES
            and self.traffic.at(MILLION) < MOST_STORAGE_BYTES
        )

    def __str__(self) -> str:
        """The arithmetic."""
        memory, storage = self.memory, self.traffic
        return "\n".join(
            (
                f"A million users, projected: memory {memory.fixed / 1e6:.0f} MB + 1,000,000 x "
                f"{memory.per_user:.0f} bytes = {memory.at(MILLION) / 1e6:.0f} MB "
                f"(limit {MOST_MEMORY_BYTES / 1e6:.0f} MB);",
                f"storage in a night with 0.5 % changed {storage.fixed / 1e6:.1f} MB + 1,000,000 x "
                f"{storage.per_user:.0f} bytes = {storage.at(MILLION) / 1e9:.2f} GB "
                f"(limit {MOST_STORAGE_BYTES / 1e9:.0f} GB).",
            )
        )
