"""Users whom the directory no longer has: noticed, waited for, and then cleared. Pure.

A record whose user is not in the list of the run may belong to somebody who only left the scope:
they are left alone. So the directory is asked by object id, and only a user it does not have counts
as a leaver. What is cleared are the thumbnails that we wrote and the record; the profile is
Microsoft's to delete.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from shared.checkpoint import Record
from shared.errors import PhotoSyncError
from shared.model import User
from shared.sync.plan import Policy

ASK_EVERY_DAYS = 7
"""Records of people outside the scope are asked about once in so many days, spread by their id."""


@dataclass
class Noticed:
    """What a run finds out about the records of one shard whose users are not in its list.

    Attributes:
        changes: records to save.
        due: ids of those who left LEAVER_DAYS ago.
    """

    changes: dict[str, Record | None] = field(default_factory=dict)
    due: list[str] = field(default_factory=list)


def to_ask(records: Mapping[str, Record], listed: Collection[str], policy: Policy) -> list[User]:
    """Whom to ask the directory about: their names are those of their records.

    Args:
        records: of one shard.
        listed: ids of its users in the run's complete list.
        policy: of the run.
    """
    if not policy.leaver_days or not policy.trust_missing:
        return []
    return [
        User(user_id, record.upn)
        for user_id, record in sorted(records.items())
        if user_id not in listed and _is_their_day(user_id, record, policy)
    ]


def notice(
    records: Mapping[str, Record],
    listed: Collection[str],
    answers: Mapping[str, User | PhotoSyncError | None],
    policy: Policy,
) -> Noticed:
    """What the directory's answers mean; an error proves nothing.

    Args:
        records: of one shard.
        listed: ids of its users in the run's complete list: they are back, if they ever left.
        answers: by id; None for a user whom the directory does not have.
        policy: of the run.
    """
    noticed = Noticed()
    for user_id in listed:
        if user_id in records and records[user_id].left_on:
            noticed.changes[user_id] = replace(records[user_id], left_on="")
    for user_id, answer in answers.items():
        record = records[user_id]
        if isinstance(answer, User):
            if record.left_on:
                noticed.changes[user_id] = replace(record, left_on="")
        elif answer is None:
            if not record.left_on:
                record = replace(record, left_on=policy.day(0))
                noticed.changes[user_id] = record
            if is_due(record, policy):
                noticed.due.append(user_id)
    return noticed


def is_due(record: Record, policy: Policy) -> bool:
    """Whether the user left so long ago that the thumbnails and the record go."""
    if not record.left_on or not policy.leaver_days:
        return False
    left = date.fromisoformat(record.left_on)
    return policy.today >= left + timedelta(days=policy.leaver_days)


def _is_their_day(user_id: str, record: Record, policy: Policy) -> bool:
    if record.left_on:
        return True
    every = min(ASK_EVERY_DAYS, policy.leaver_days)
    return (policy.today.toordinal() + int(user_id[-4:], 16)) % every == 0
