"""How a user's turn can end. A closed set: every user in scope ends a run with exactly one."""

from enum import StrEnum


class Outcome(StrEnum):
    """The outcomes of the contract."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REPAIRED = "repaired"
    REMOVED = "removed"
    REMOVAL_PENDING = "removal_pending"
    NO_PHOTO = "no_photo"
    NO_PROFILE = "no_profile"
    INVALID_PHOTO = "invalid_photo"
    FAILED = "failed"
    DEFERRED = "deferred"


QUIET = frozenset({Outcome.UNCHANGED, Outcome.NO_PHOTO})
"""Outcomes that get no line in the run's report."""
