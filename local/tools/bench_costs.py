"""What running the program costs in Azure; pure arithmetic over what was measured.

Prices in US dollars, pay as you go, as known for the region East US, and not read from the price
list: they differ by region and change, so the arithmetic is printed with the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PRICES_FROM = (
    "https://azure.microsoft.com/pricing/details/functions/",
    "https://azure.microsoft.com/pricing/details/storage/blobs/",
)

GB_SECOND = 0.000026
FREE_GB_SECONDS = 100_000
MILLION_EXECUTIONS = 0.40
FREE_EXECUTIONS = 250_000
"""Flex Consumption, on demand; the grants are free in each month and subscription."""

LEAST_EXECUTION_SECONDS = 1.0
"""What a shorter execution is charged as."""

INSTANCE_GB = 2.0

TEN_THOUSAND: Mapping[str, float] = {"write": 0.055, "list": 0.055, "read": 0.0044, "other": 0.0044}
"""Blob storage operations, general-purpose v2, hot, locally redundant; deleting is free."""

STORED_GB_MONTH = 0.0208

NIGHTS_A_MONTH = 30


@dataclass(frozen=True)
class Load:
    """What one run needs.

    Attributes:
        seconds: of execution.
        operations: on blob storage, by type.
        stored: bytes of the checkpoint.
    """

    seconds: float
    operations: Mapping[str, float]
    stored: float


@dataclass(frozen=True)
class Cost:
    """Dollars for a month, without any free grant.

    Attributes:
        gb_seconds, executions: in the month.
        compute: of executions and their memory.
        storage: of operations and stored bytes.
        granted: of `compute`, what the monthly grant covers when nothing else uses it.
    """

    gb_seconds: float
    executions: float
    compute: float
    storage: float
    granted: float

    @property
    def month(self) -> float:
        """All of it."""
        return self.compute + self.storage

    @property
    def month_with_grant(self) -> float:
        """What is left when the whole grant is used for this program."""
        return self.month - self.granted


def month(load: Load, *, runs_a_day: int, firings_a_day: int) -> Cost:
    """What a month of equal runs costs.

    Args:
        load: of a run.
        runs_a_day: each needs `load`.
        firings_a_day: of the timer; those that find nothing to do are charged a second.
    """
    idle = max(0, firings_a_day - runs_a_day) * LEAST_EXECUTION_SECONDS
    seconds = (load.seconds * runs_a_day + idle) * NIGHTS_A_MONTH
    gb_seconds = seconds * INSTANCE_GB
    executions = max(firings_a_day, runs_a_day) * NIGHTS_A_MONTH
    operations = sum(
        number / 10_000 * TEN_THOUSAND.get(kind, 0.0) for kind, number in load.operations.items()
    )
    grant_memory = min(gb_seconds, FREE_GB_SECONDS) * GB_SECOND
    grant_executions = min(executions, FREE_EXECUTIONS) / 1e6 * MILLION_EXECUTIONS
    return Cost(
        gb_seconds=gb_seconds,
        executions=executions,
        compute=gb_seconds * GB_SECOND + executions / 1e6 * MILLION_EXECUTIONS,
        storage=operations * runs_a_day * NIGHTS_A_MONTH + load.stored / 1e9 * STORED_GB_MONTH,
        granted=grant_memory + grant_executions,
    )


@dataclass(frozen=True)
class Line:
    """A straight line through two measured sizes, for sizes that were not measured.

    Attributes:
        fixed: at no users.
        per_user: growth.
    """

    fixed: float
    per_user: float

    @classmethod
    def through(cls, few: tuple[int, float], many: tuple[int, float]) -> "Line":
        """Of two points (users, value)."""
        growth = (many[1] - few[1]) / (many[0] - few[0])
        return cls(few[1] - growth * few[0], growth)

    def at(self, users: int) -> float:
        """The value at a size."""
        return self.fixed + self.per_user * users


def arithmetic(users: int, load: Load, cost: Cost) -> str:
    """How the cost of a month of nights comes about."""
    kinds = ", ".join(
        f"{load.operations.get(kind, 0):,.0f} {kind} x ${price}/10,000"
        for kind, price in TEN_THOUSAND.items()
    )
    memory = (
        f"{cost.gb_seconds:,.0f} GB-s (runs of {load.seconds:,.0f} s, idle firings of "
        f"{LEAST_EXECUTION_SECONDS:.0f} s, {INSTANCE_GB:.0f} GB) x ${GB_SECOND}"
    )
    executions = f"{cost.executions:,.0f} executions x ${MILLION_EXECUTIONS:.2f}/million"
    storage = f"{NIGHTS_A_MONTH} x ({kinds}) + {load.stored / 1e9:.3f} GB x ${STORED_GB_MONTH}"
    return (
        f"{users:,} users, a month of nights: {memory} + {executions} = ${cost.compute:.2f}; "
        f"{storage} = ${cost.storage:.2f}"
    )
