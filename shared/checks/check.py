"""One check: a question about the environment of the app, and its answer."""

from dataclasses import asdict, dataclass
from typing import Any

NAMES = (
    "settings",
    "storage",
    "Graph token and roles",
    "SharePoint token and roles",
    "My Site photo folder",
    "admin site",
    "scope size",
    "one photo",
    "function schedule",
)
"""Every check, in the order in which they are shown; dashboards and runbooks quote the names."""

CHECK_SECONDS = 4.5
"""How long one check waits for an answer: callers are promised each check within 5 seconds."""


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        name: short and stable.
        ok: whether all is well.
        detail: what was found.
        remedy: what to do; "" when all is well.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `GET /api/sync` shows it."""
        return asdict(self)


def good(name: str, detail: str) -> Check:
    """A check that found nothing wrong."""
    return Check(name, ok=True, detail=detail)


def bad(name: str, detail: str, remedy: str) -> Check:
    """A check that found something wrong."""
    return Check(name, ok=False, detail=detail, remedy=remedy)


def late(name: str, what: str) -> Check:
    """A check that was not answered in time.

    Args:
        name: of the check.
        what: who did not answer.
    """
    return bad(name, f"{what} did not answer within 5 seconds", "check again in a few minutes")


def not_checked(name: str, what: str, before: str) -> Check:
    """A check that makes no sense because another one failed.

    Args:
        name: of the check.
        what: what was not looked at.
        before: name of the check that failed.
    """
    detail = f"{what} was not checked, because '{before}' failed"
    return bad(name, detail, f"correct '{before}' first")
