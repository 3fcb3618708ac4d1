"""Reads profiles: twenty in one request where SharePoint lets it, else one by one."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import (
    AccessDenied,
    HostUnavailable,
    NotFound,
    ProfileMissing,
    RequestRejected,
    ServiceError,
    Throttled,
)
from shared.http import Allowance, Patience, divide, retry_after
from shared.log import InvocationLog
from shared.model import User
from shared.sharepoint import batch, profiles
from shared.sharepoint.hosts import Hosts
from shared.sharepoint.profiles import Profile
from shared.sharepoint.site import Site

FAILED_BATCHES = 5
"""Batches that fail, when none was ever answered but single profiles are, after which profiles are
read one by one for the rest of the invocation."""

_BAD_REQUEST = 400
_THROTTLED = frozenset({429, 503})

type Found = dict[str, Profile | ProfileMissing | ServiceError]
"""Profiles by user id, or the error of that user."""


class ProfileReader:
    """Reads profiles for one invocation; thread-safe.

    Args:
        site: sends to SharePoint.
        hosts: of the tenant.
        log: for what an operator should know.
    """

    def __init__(self, site: Site, hosts: Hosts, log: InvocationLog) -> None:
        self._site = site
        self._hosts = hosts
        self._log = log
        self._with_batches: set[str] = set()
        self._without_batches: set[str] = set()

    def read(self, users: Sequence[User]) -> Found:
        """See `SharePoint.profiles`."""
        found = self._read(self._hosts.admin, users)
        abroad: dict[str, list[User]] = {}
        for user in users:
            profile = found[user.id]
            if isinstance(profile, Profile) and self._hosts.is_mysite(profile.host):
                abroad.setdefault(self._hosts.admin_of(profile.host), []).append(user)
        abroad.pop(self._hosts.admin, None)
        for admin, some in abroad.items():
            for user_id, profile in self._read(admin, some).items():
                found[user_id] = _of_satellite(profile, admin)
        return found

    def _read(self, admin: str, users: Sequence[User]) -> Found:
        by_id = {user.id: user for user in users}
        alone: list[str] = []
        failed = answered = 0

        def send(ids: Sequence[str], allowance: Allowance) -> Found:
            nonlocal failed, answered
            if len(ids) == 1:
                profile = self._read_one(admin, by_id[ids[0]], allowance)
                answered += 1
                return {ids[0]: profile}
            if answered and failed >= FAILED_BATCHES and admin not in self._with_batches:
                # Single profiles are answered, so it is batches that are not.
                self._give_batches_up(admin)
            failed += 1
            some = self._read_batch(admin, [by_id[user_id] for user_id in ids], allowance)
            self._with_batches.add(admin)
            # Whoever the batch does not speak of for sure is read alone.
            alone.extend(user_id for user_id in ids if user_id not in some)
            return some

        largest = 1 if admin in self._without_batches else None
        found = divide(list(by_id), send, largest=largest)
        return found | divide(alone, send, largest=1)

    def _give_batches_up(self, admin: str) -> None:
        if admin in self._without_batches:
            return
        self._without_batches.add(admin)
        self._log.add(
            logging.WARNING,
            f"{admin} refuses batches of profile reads; the app reads profiles one by one, which "
            "takes longer and uses more of the quota",
        )

    def _read_batch(self, admin: str, users: Sequence[User], allowance: Allowance) -> Found:
        """What a batch says for sure."""
        if admin in self._without_batches:
            raise RequestRejected(self._site.service.evidence("POST", f"{admin}/_api/$batch"))
        urls = [profiles.read_url(admin, user.upn) for user in users]
        body, content_type = batch.build(urls)
        try:
            response = self._site.post(
                f"{admin}/_api/$batch",
                body,
                content_type,
                want_json=False,
                write=False,
                parts=len(users),
                attempts=allowance.attempts,
                patience=Patience(allowance.seconds, self._site.service.clock),
            )
        except (AccessDenied, NotFound, RequestRejected) as refused:
            # 400 may be about one of these users; anything else is about batches.
            if refused.evidence.status != _BAD_REQUEST:
                self._give_batches_up(admin)
            raise
        parts = batch.parse(response.body, response.headers.get("Content-Type", ""))
        if len(parts) != len(users):
            # Parts come in order; a wrong number of them proves nothing about any.
            raise response.malformed("no batch response")
        found = self._own_pauses(admin, users, parts)
        throttled = [part for part in parts if part.status in _THROTTLED]
        if throttled and not found:
            self._site.service.pause(self._site.budget, response, self._longest(throttled))
        for user, part in zip(users, parts, strict=True):
            try:
                profile = profiles.parse(part.status, part.value)
            except ProfileMissing as missing:
                found[user.id] = missing
            else:
                if profile:
                    found[user.id] = profile
        return found

    def _own_pauses(self, admin: str, users: Sequence[User], parts: Sequence[batch.Part]) -> Found:
        """Users whose part was throttled while most were answered: the pause is theirs alone."""
        throttled = [
            (user, part)
            for user, part in zip(users, parts, strict=True)
            if part.status in _THROTTLED
        ]
        if 2 * len(throttled) > len(parts):
            return {}
        service = self._site.service
        self._site.budget.meter.add(service.name, throttled=len(throttled))
        return {
            user.id: Throttled(
                replace(
                    service.evidence("GET", profiles.read_url(admin, user.upn)),
                    status=part.status,
                ),
                retry_after(part.headers, service.clock) or 0.0,
                own=True,
            )
            for user, part in throttled
        }

    def _longest(self, parts: Sequence[batch.Part]) -> float | None:
        """The longest pause that throttled parts ask for; None when none says how long."""
        waits = [retry_after(part.headers, self._site.service.clock) for part in parts]
        return max((seconds for seconds in waits if seconds is not None), default=None)

    def _read_one(self, admin: str, user: User, allowance: Allowance) -> Profile | ProfileMissing:
        try:
            response = self._site.get(
                profiles.read_url(admin, user.upn),
                attempts=allowance.attempts,
                subject=user.id,
                patience=Patience(allowance.seconds, self._site.service.clock),
            )
            profile = profiles.parse(response.status, response.value)
        except ProfileMissing as missing:
            return missing
        if profile is None:
            raise response.malformed("no profile in the response")
        return profile


def _of_satellite(
    profile: Profile | ProfileMissing | ServiceError, admin: str
) -> Profile | ProfileMissing | ServiceError:
    """A result from the admin site of another geo: its refusal is about that geo alone."""
    if isinstance(profile, AccessDenied | NotFound):
        return HostUnavailable(
            profile.evidence,
            admin,
            "refuses to read profiles",
            "Check that this is the admin site of the geo and that the identity has the app role "
            "User.ReadWrite.All on SharePoint",
        )
    return profile
