"""How much memory this process took."""

import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most memory that this process had at any time.

    Linux hands the value of getrusage(2) down from a process to the programs that it starts, so
    that a large parent would hide what a child takes; /proc has the program's own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415 - not on Windows

    # Kilobytes on Linux, bytes on macOS (getrusage(2)).
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
