"""What a photo costs at worst: CPU time and memory of hostile files, each in a process of its own.

`python -m local.tools.photo_costs [NAME...]` prints the table; `make bench` prints the worst.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.tools.photo_zoo import HOSTILE

MOST_BYTES = 200_000_000
MOST_SECONDS = 2.0
_SIZES = (48, 96, 300)
_LARGEST_SIZES = (48, 96, 1_024)
_AT_ONCE = 8


@dataclass(frozen=True)
class Cost:
    """What rendering one file took.

    Attributes:
        name: of the file.
        length: of the file, in bytes.
        result: "rendered", or the refusal.
        cpu: seconds of CPU time.
        memory: growth of the process at its peak, in bytes, Pillow's own code included.
    """

    name: str
    length: int
    result: str
    cpu: float
    memory: int

    @property
    def is_bounded(self) -> bool:
        """Whether it keeps the promise: 200 MB and 2 s."""
        return self.memory <= MOST_BYTES and self.cpu <= MOST_SECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print every file, worst last; 1 when one of them costs too much."""
    names = list(sys.argv[1:] if arguments is None else arguments) or list(HOSTILE)
    costs = [cost for name in names for cost in (measure(name, HOSTILE[name]()),)]
    costs += [
        measure(f"{c.name} (1024)", HOSTILE[c.name](), _LARGEST_SIZES)
        for c in costs
        if c.memory > MOST_BYTES / 2
    ]
    worst = max(costs, key=lambda cost: cost.memory)
    name = worst.name.removesuffix(" (1024)")
    together = measure(f"{_AT_ONCE} x {name}", HOSTILE[name](), _LARGEST_SIZES, _AT_ONCE)
    for cost in sorted(costs, key=lambda cost: (cost.memory, cost.cpu)):
        print(
            f"{cost.name:34} {cost.length / 1e6:6.2f} MB  {cost.cpu:5.2f} s "
            f"{cost.memory / 1e6:6.1f} MB  {cost.result[:90]}"
        )
    print(summary(costs))
    print(f"{together.name} at once: {together.memory / 1e6:.0f} MB, {together.cpu:.2f} s of CPU")
    return 0 if all(cost.is_bounded for cost in costs) else 1


def summary(costs: Sequence[Cost]) -> str:
    """The worst in one line."""
    memory = max(costs, key=lambda cost: cost.memory)
    cpu = max(costs, key=lambda cost: cost.cpu)
    return (
        f"worst of {len(costs)} hostile photos: {memory.memory / 1e6:.0f} MB ({memory.name}), "
        f"{cpu.cpu:.2f} s of CPU ({cpu.name})"
    )


def measure(name: str, data: bytes, sizes: tuple[int, int, int] = _SIZES, times: int = 1) -> Cost:
    """Render a file in a process of its own.

    Args:
        name: for the report.
        data: the file.
        sizes: of the thumbnails.
        times: how often at once, each in a thread.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo"
        path.write_bytes(data)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "local.tools.photo_costs",
                "--child",
                str(path),
                str(times),
                *map(str, sizes),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return Cost(name, len(data), found["result"], found["cpu"], found["memory"])


def _child(path: str, times: int, sizes: tuple[int, int, int]) -> None:
    from shared.errors import InvalidPhoto  # noqa: PLC0415 - before the baseline is taken
    from shared.photos import render  # noqa: PLC0415

    data = Path(path).read_bytes()

    def work(_: int) -> str:
        try:
            render(data, sizes)
        except InvalidPhoto as error:
            return str(error)
        return "rendered"

    before = _peak()
    began = time.process_time()
    with ThreadPoolExecutor(times) as pool:
        results = list(pool.map(work, range(times)))
    print(
        json.dumps(
            {
                "result": results[0],
                "cpu": time.process_time() - began,
                "memory": _peak() - before,
            }
        )
    )


def _peak() -> int:
    """The most memory that this process had at any time, in bytes.

    Linux hands the value of getrusage(2) down from a process to the programs that it starts, so
    that a large parent would hide what a child takes; /proc has the program's own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415 - not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        small, medium, large = map(int, sys.argv[4:7])
        _child(sys.argv[2], int(sys.argv[3]), (small, medium, large))
    else:
        raise SystemExit(main())
