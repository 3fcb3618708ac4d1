"""The pilot: ten questions about this tenant (P1 to P10) that no documentation answers.

They are asked with one named user. The pilot writes the user's own values and bytes back to where
they were, and the time of the picture, which only makes browsers download it again. Whatever goes
wrong is an answer too. Where only a person can see the answer, the pilot says how to look.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

from shared import __version__
from shared.app import App
from shared.checkpoint import iso
from shared.errors import DeadlineExceeded, PhotoSyncError
from shared.http import Budget
from shared.pilot import probes
from shared.pilot.context import Context, NotTried
from shared.pilot.probes import NOT_TRIED, UNKNOWN, YES, Answer
from shared.sync import PATIENCE_SECONDS, SAVING_SECONDS

_log = logging.getLogger("photo_sync.pilot")

PROBES: dict[str, tuple[str, Callable[[Context], Answer]]] = {
    "P1": ("may the identity write profiles, and through which hosts", probes.writes),
    "P2": ("does one query set several properties, and what is it charged", probes.query),
    "P3": ("does an upload need a form digest", probes.digest),
    "P4": ("is the timestamp of the picture writable and part of PictureUrl", probes.timestamp),
    "P5": ("do people see the file that is written", probes.browser),
    "P6": ("does SharePoint's own sync overwrite it, and under which name", probes.native),
    "P7": ("is the answer for an account without profile understood", probes.unknown),
    "P8": ("is User Photos a drive of Microsoft Graph", probes.drive),
    "P9": ("does one token open all hosts of SharePoint", probes.one_token),
    "P10": ("are guests served under their account name", probes.guests),
}


class Probe(NamedTuple):
    """A question and its answer.

    Attributes:
        id: "P1" to "P10".
        question: for people.
        answer: one of `shared.pilot.probes.ANSWERS`.
        detail: what was seen, or why nothing was.
    """

    id: str
    question: str
    answer: str
    detail: str


def run(app: App, name: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Ask all questions about one user.

    Args:
        app: the program.
        name: object id or user principal name.
        dry_run: only read.

    Raises:
        UserUnknown: the directory has no such user.
        PermissionMissing, ServiceError, DeadlineExceeded: Graph could not be asked who that is.
    """
    dry_run = dry_run or app.settings.dry_run
    deadline = app.clock.monotonic() + PATIENCE_SECONDS
    user = app.graph(Budget(deadline)).user(name)
    found: list[Probe] = []
    writes = _Writes()
    # Of giving the lease back; it ends by itself.
    with (
        suppress(DeadlineExceeded),
        _writing(app, deadline, writes, dry_run=dry_run) as (budget, read_only),
    ):
        context = Context(app, user, budget, read_only)
        found += [_ask(context, id_, *probe) for id_, probe in PROBES.items()]
    return {
        "user": {"id": user.id, "userPrincipalName": user.upn},
        "at": iso(app.clock.time()),
        "version": __version__,
        "dryRun": dry_run,
        "ok": _is_good(found, dry_run=dry_run),
        "did": _summary(writes.count, found, dry_run=dry_run),
        "probes": [probe._asdict() for probe in found],
    }


class _Writes:
    """Counts the requests that write; called before each of them."""

    def __init__(self, allow: Callable[[], None] | None = None) -> None:
        self.allow = allow
        self.count = 0

    def __call__(self) -> None:
        if self.allow:
            self.allow()
        self.count += 1


def _is_good(probes: Sequence[Probe], *, dry_run: bool) -> bool:
    """Whether the nightly run will work for this user, as far as the pilot can see."""
    answers = {probe.id: probe.answer for probe in probes}
    tried = dry_run or answers.get("P1") == YES
    heard = all(answer != UNKNOWN for id_, answer in answers.items() if id_ != "P10")
    return len(answers) == len(PROBES) and tried and heard and answers["P7"] == YES


def _summary(writes: int, probes: Sequence[Probe], *, dry_run: bool) -> str:
    """What the pilot did, in a sentence."""
    if dry_run:
        return "This was a dry run: the pilot only read."
    if not writes:
        # P2 only writes, so its detail is nothing but the reason.
        why = next((p.detail for p in probes if (p.id, p.answer) == ("P2", NOT_TRIED)), "")
        return f"The pilot wrote nothing. {why[:1].upper()}{why[1:]}".strip()
    return (
        f"The user's own values were written back to SharePoint by {writes} requests; the time of "
        "the picture is now the present time."
    )


@contextmanager
def _writing(
    app: App, deadline: float, writes: _Writes, *, dry_run: bool
) -> Iterator[tuple[Budget, str]]:
    """A budget under the lease of the run, so that no run writes; or why there is none.

    What is written back must be what is still there.
    """
    if dry_run:
        yield Budget(deadline), "this is a dry run"
        return
    with ExitStack() as stack:
        try:
            checkpoint = app.checkpoint(deadline=deadline + SAVING_SECONDS)
            checkpoint.prepare()
            lease = stack.enter_context(checkpoint.lease())
        except PhotoSyncError as error:
            found = Budget(deadline), str(error)
        else:
            if lease:
                writes.allow = lease.check
                found = Budget(deadline, writes), ""
            else:
                found = Budget(deadline), "a run is at work; run the pilot again when it has ended"
        yield found


def _ask(context: Context, id_: str, question: str, probe: Callable[[Context], Answer]) -> Probe:
    try:
        answer = probe(context)
    except NotTried as why:
        answer = Answer(NOT_TRIED, str(why))
    except PhotoSyncError as error:
        answer = Answer(UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is an answer
        _log.exception("%s: internal error", id_)
        answer = Answer(UNKNOWN, f"internal error: {type(error).__name__}")
    return Probe(id_, question, *answer)
