"""What a photo costs at worst: CPU time and memory of hostile files, each in a process of its own.

`python -m local.tools.photo_costs [NAME...]` prints every file; `make bench` prints the worst.
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

from local.support.memory import peak_bytes
from local.tools.photo_zoo import HOSTILE

MOST_BYTES = 200_000_000
MOST_SECONDS = 2.0
MOST_BYTES_TOGETHER = 1_000_000_000
"""Of eight photos at once. An instance of 2 GB holds them beside the host and the worker."""
_SIZES = (48, 96, 300)
_LARGEST_SIZES = (48, 96, 1_024)
_AT_ONCE = 8


@dataclass(frozen=True)
class Cost:
    """What rendering one file, or several at once, took.

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
        """Whether it keeps the promise for one photo: 200 MB and 2 s."""
        return self.memory <= MOST_BYTES and self.cpu <= MOST_SECONDS

    def __str__(self) -> str:
        """One line of the table."""
        return (
            f"{self.name:34} {self.length / 1e6:6.2f} MB  {self.cpu:5.2f} s "
            f"{self.memory / 1e6:6.1f} MB  {self.result[:90]}"
        )


@dataclass(frozen=True)
class Costs:
    """What all files took.

    Attributes:
        single: each file alone; files that take much also with the largest thumbnails.
        together: the eight that take most memory, at once.
    """

    single: tuple[Cost, ...]
    together: Cost

    @property
    def are_bounded(self) -> bool:
        """Whether every file, and all eight together, keep the promise."""
        return (
            all(cost.is_bounded for cost in self.single)
            and self.together.memory <= MOST_BYTES_TOGETHER
        )

    def __str__(self) -> str:
        """The worst in one line."""
        memory = max(self.single, key=lambda cost: cost.memory)
        cpu = max(self.single, key=lambda cost: cost.cpu)
        return (
            f"worst of {len(self.single)} hostile photos: {memory.memory / 1e6:.0f} MB "
            f"({memory.name}), {cpu.cpu:.2f} s of CPU ({cpu.name}); the {_AT_ONCE} largest at "
            f"once: {self.together.memory / 1e6:.0f} MB"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print every file, worst last; 1 when one of them costs too much."""
    costs = measure_all(list(sys.argv[1:] if arguments is None else arguments) or list(HOSTILE))
    for cost in sorted(costs.single, key=lambda cost: (cost.memory, cost.cpu)):
        print(cost)
    print(costs)
    return 0 if costs.are_bounded else 1


def measure_all(names: Sequence[str] = tuple(HOSTILE)) -> Costs:
    """Measure these files, one by one and then the largest together. Takes about a minute."""
    usual = [measure(name, HOSTILE[name]()) for name in names]
    largest = [
        measure(f"{cost.name} (1024)", HOSTILE[cost.name](), _LARGEST_SIZES)
        for cost in usual
        if cost.memory > MOST_BYTES / 2
    ]
    worst = sorted(usual, key=lambda cost: -cost.memory)[:_AT_ONCE]
    files = [HOSTILE[cost.name]() for cost in worst]
    together = _measure(f"{len(files)} at once", files, _LARGEST_SIZES)
    return Costs((*usual, *largest), together)


def measure(name: str, data: bytes, sizes: tuple[int, int, int] = _SIZES) -> Cost:
    """Render a file in a process of its own.

    Args:
        name: for the report.
        data: the file.
        sizes: of the thumbnails.
    """
    return _measure(name, [data], sizes)


def _measure(name: str, files: Sequence[bytes], sizes: tuple[int, int, int]) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        command = [sys.executable, "-m", "local.tools.photo_costs", "--child"]
        done = subprocess.run(  # noqa: S603 - our own module
            [*command, *map(str, sizes), *map(str, paths)],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return Cost(name, sum(map(len, files)), found["result"], found["cpu"], found["memory"])


def _child(sizes: tuple[int, int, int], paths: Sequence[str]) -> None:
    """Render these files at once, each in a thread, and print what that took."""
    from shared.errors import InvalidPhoto  # noqa: PLC0415 - before the baseline is taken
    from shared.photos import render  # noqa: PLC0415

    def work(data: bytes) -> str:
        try:
            render(data, sizes)
        except InvalidPhoto as error:
            return str(error)
        return "rendered"

    files = [Path(path).read_bytes() for path in paths]
    before, began = peak_bytes(), time.process_time()
    with ThreadPoolExecutor(len(files)) as pool:
        results = list(pool.map(work, files))
    cpu, memory = time.process_time() - began, peak_bytes() - before
    print(json.dumps({"result": results[0], "cpu": cpu, "memory": memory}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        small, medium, large = map(int, sys.argv[2:5])
        _child((small, medium, large), sys.argv[5:])
    else:
        raise SystemExit(main())
