"""docs/failures.md: every fault in every call, and what an administrator sees of it.

`python -m tests.support.failures` writes the page; the tests hold the program to each of its rows.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.support.failure_kinds import (
    ALL,
    CALLS,
    FILES,
    FINE,
    ITEMS,
    LISTS,
    ONCE,
    ONE,
    OWN,
    TOKENS,
    UPLOADS,
    WRITES,
    Row,
)
from tests.support.failure_service_rows import ROWS
from tests.support.failure_storage_rows import (
    AWAY,
    BLOB_ROWS,
    BLOBS,
    EVER,
    LOST,
    NOTHING,
    RAISES,
    BlobRow,
)

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"


def cells() -> Iterator[tuple[str, str, str]]:
    """All cells: call, group of faults, how long it lasts."""
    for name, call in CALLS.items():
        for group in call.groups:
            yield name, group, ONCE
            if name in OWN or group in ITEMS:
                yield name, group, ONE
            if group not in ITEMS:
                yield name, group, ALL


def row_of(call: str, group: str, lasts: str) -> Row:
    """The row that announces what is seen.

    Raises:
        LookupError: there is not exactly one.
    """
    rows = [r for r in ROWS if call in r.calls and group in r.groups and r.lasts == lasts]
    if len(rows) != 1:
        raise LookupError(f"{len(rows)} rows for {group} in {call}, {lasts}")
    return rows[0]


_INTRO = """# What fails, what you see

<!-- Written by `python -m tests.support.failures`; the tests hold the program to every row. -->

Every kind of fault in every call of the program, and what an administrator sees of it. In each of
these cases three things hold: no record claims what SharePoint does not show; users whom the fault
does not concern are done as ever; when it is over, the next night (for a `failed` user the next one
after their retry date) puts everything right without help. Messages are explained in
[operate.md](operate.md#messages); `…` stands for what varies.

*Run* is the status of that firing, *user* the outcome of the users concerned. Both stand in
`GET /api/sync` and in the report; `stopped` also fails the invocation and raises the alert
`run-stopped`. Where users are `deferred` the message is the run's `reason`, else it is the user's
`detail` in `runs/<started>.jsonl`. Removals that are not reached stay `removal_pending`.
"""

_NAMES = (
    (tuple(CALLS), "every call"),
    (tuple(c for c in CALLS if c not in TOKENS), "every call but tokens"),
    (OWN, "calls for one user"),
    (FILES, "files"),
    (UPLOADS, "uploads"),
    (WRITES, "profile writes"),
    (LISTS, "lists"),
    (TOKENS, "tokens"),
)
"""Calls that are named together, the widest first."""

_VOCABULARY = (
    ("calls for one user", "photo bytes, profile alone, files, profile writes"),
    ("files", "look at the picture shown, uploads L, S, M, file removal"),
    ("profile writes", "to show a picture (ProcessQuery), to remove it"),
    ("lists", "list of users, members of the group"),
    ("tokens", "of the managed identity, for Graph and for SharePoint"),
)


def page() -> str:
    """docs/failures.md."""
    lines = [*_INTRO.splitlines(), "", "| Calls | Are |", "|---|---|"]
    lines += [f"| {name} | {what} |" for name, what in _VOCABULARY]
    for lasts in (ONCE, ONE, ALL):
        lines += ["", f"## {lasts.capitalize()}", ""]
        lines += [_line(row) for row in ROWS if row.lasts == lasts]
    lines += ["", "## Blob storage", ""]
    lines += [_blob_line(row) for row in BLOB_ROWS]
    lines += [_entry(*cells) for cells in _RENEWALS]
    return "\n".join(lines) + "\n"


_RENEWALS = (
    (
        AWAY,
        "renew the lease",
        f"{ONCE}; {EVER}",
        f"{NOTHING}; {RAISES}",
        "`the lease could not be renewed: …` in the log; `another run took over, or storage could "
        "not be reached to keep it away`",
        "Without renewal the run ends before the next write, within a minute. The next firing "
        "resumes it. Nothing to do.",
    ),
    (
        LOST,
        "renew the lease",
        ONCE,
        RAISES,
        "`another run took over, or storage could not be reached to keep it away`",
        "No further write. The other firing goes on. Nothing to do.",
    ),
)


def _line(row: Row) -> str:
    outcome = row.outcome if row.outcome == FINE else f"`{row.outcome}`"
    return _entry(
        "; ".join(row.groups),
        _where(row.calls),
        "",
        f"run `{row.status}`, user {outcome}",
        f"`{row.message}`" if row.message else "",
        row.then,
    )


def _blob_line(row: BlobRow) -> str:
    every = len(row.calls) == len(BLOBS)
    return _entry(
        "; ".join(row.groups),
        "every call" if every else ", ".join(BLOBS[call].title for call in row.calls),
        "; ".join(row.lasts),
        row.ends,
        f"`{row.message}`" if row.message else "",
        row.then,
    )


def _entry(*cells: str) -> str:
    """One entry: fault, calls, how long it lasts, how it ends, message, what to do."""
    faults, calls, lasts, ends, message, then = cells
    first = f"- **{faults}** in {calls}" + (f", {lasts}" if lasts else "")
    parts = [first, f"  - Ends: {ends}."]
    if message:
        parts.append(f"  - Message: {message}")
    return "\n".join([*parts, f"  - {then}"])


def _where(calls: tuple[str, ...]) -> str:
    """Calls as the page names them, together where they have a name."""
    rest, names = list(calls), []
    for group, name in _NAMES:
        if set(group) <= set(rest):
            names.append(name)
            rest = [call for call in rest if call not in group]
    return ", ".join([*(CALLS[call].title for call in rest), *names])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
