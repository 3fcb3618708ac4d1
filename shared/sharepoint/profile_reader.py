"""Reads profiles: twenty in one request where SharePoint lets it, else one by one."""

import logging
from collections.abc import Sequence

from shared.errors import (
    AccessDenied,
    HostUnavailable,
    NotFound,
    ProfileMissing,
    RequestRejected,
    ServiceError,
)
from shared.http.division import divide
from shared.http.response import retry_after
from shared.log import InvocationLog
from shared.model import User
from shared.sharepoint import batch, profiles
from shared.sharepoint.hosts import Hosts
from shared.sharepoint.profiles import Profile
from shared.sharepoint.site import Site

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
        batched = 0

        def send(ids: Sequence[str], attempts: int | None) -> Found:
            nonlocal batched
            if len(ids) == 1:
                return {ids[0]: self._read_one(admin, by_id[ids[0]], attempts)}
            some = self._read_batch(admin, [by_id[user_id] for user_id in ids], attempts)
            batched += 1
            # Whoever the batch does not speak of for sure is read alone.
            alone.extend(user_id for user_id in ids if user_id not in some)
            return some

        found = divide(list(by_id), send, largest=1 if admin in self._without_batches else None)
        found |= divide(alone, send, largest=1)
        if not batched:
            self._judge_batches(admin, found)
        return found

    def _judge_batches(self, admin: str, found: Found) -> None:
        """Give batches up when none was answered while single profiles were."""
        read = sum(isinstance(profile, Profile | ProfileMissing) for profile in found.values())
        if read > 1 and admin not in self._without_batches:
            self._give_batches_up(admin)

    def _give_batches_up(self, admin: str) -> None:
        self._without_batches.add(admin)
        self._log.add(
            logging.WARNING,
            f"{admin} refuses batches of profile reads; the app reads profiles one by one, which "
            "takes longer and uses more of the quota",
        )

    def _read_batch(self, admin: str, users: Sequence[User], attempts: int | None) -> Found:
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
                attempts=attempts,
            )
        except (AccessDenied, NotFound, RequestRejected) as refused:
            # 400 may be about one of these users; anything else is about batches.
            if refused.evidence.status != _BAD_REQUEST:
                self._give_batches_up(admin)
            raise
        parts = batch.parse(response.body, response.headers.get("Content-Type", ""))
        if len(parts) != len(users):
            # Parts come in order; a wrong number of them proves nothing about any.
            raise response.malformed("no batch answer")
        throttled = [part.headers for part in parts if part.status in _THROTTLED]
        if throttled:
            service = self._site.service
            waits = [retry_after(headers, service.clock) or 0.0 for headers in throttled]
            service.pause(self._site.budget, response, max(waits) or None, 1)
        found: Found = {}
        for user, part in zip(users, parts, strict=True):
            try:
                profile = profiles.parse(part.status, part.value)
            except ProfileMissing as missing:
                found[user.id] = missing
            else:
                if profile:
                    found[user.id] = profile
        return found

    def _read_one(self, admin: str, user: User, attempts: int | None) -> Profile | ProfileMissing:
        try:
            response = self._site.get(profiles.read_url(admin, user.upn), attempts=attempts)
            profile = profiles.parse(response.status, response.value)
        except ProfileMissing as missing:
            return missing
        if profile is None:
            raise response.malformed("no profile in the answer")
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
