"""Progress and tables for people at a terminal; plain lines where the output is no terminal."""

import sys
from collections.abc import Iterable, Sequence

_BAR_WIDTH = 30


class Progress:
    """One line that fills up. Without a terminal it prints nothing until it is done.

    Args:
        title: what is going on.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = sys.stdout.isatty()
        if not self._live:
            print(f"{title} ...", flush=True)

    def show(self, fraction: float, note: str) -> None:
        """Redraw; the fraction is cut to 0..1."""
        if not self._live:
            return
        full = round(min(max(fraction, 0.0), 1.0) * _BAR_WIDTH)
        bar = "█" * full + "░" * (_BAR_WIDTH - full)
        print(f"\r\033[K{self._title}  {bar}  {note}", end="", flush=True)

    def done(self, note: str) -> None:
        """Replace the bar by its result."""
        print(f"{'\r\033[K' if self._live else ''}{self._title}: {note}", flush=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows below heads; the first column is text, the others are numbers."""
    cells = [list(heads), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = []
    for row in cells:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  " + "   ".join([first, *rest]))
    lines.insert(1, "  " + "─" * (sum(widths) + 3 * (len(widths) - 1)))
    return "\n".join(lines)


def _text(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def bold(text: str) -> str:
    """Emphasised on a terminal."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text
