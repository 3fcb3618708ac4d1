"""Everything that is only read for a window: photos, present names, profiles, what is shown."""

from collections.abc import Callable, Sequence
from typing import Protocol

from shared.model import Outcome, User
from shared.sharepoint import Profile
from shared.sync.plan import Fetch, Policy, Settled
from shared.sync.reader import Reader
from shared.sync.shards import Shards
from shared.sync.user_sync import Loaded, Prepared
from shared.sync.window import Window


class OnError(Protocol):
    """Decides what an error means for a user of a window."""

    def __call__(self, window: Window, user: User, error: Exception, *, etag: str = "") -> None:
        """Settle the user, put them aside, defer them, or end the run."""
        ...


class WindowReader:
    """Reads what a window needs; who needs nothing written is settled in it.

    Args:
        reader: asks the services.
        shards: the records.
        on_error: see `OnError`.
        now: the policy at this moment.
    """

    def __init__(
        self, reader: Reader, shards: Shards, on_error: OnError, now: Callable[[], Policy]
    ) -> None:
        self._reader = reader
        self._shards = shards
        self._on_error = on_error
        self._now = now

    def read(self, window: Window) -> list[Prepared]:
        """The users of a window whose picture is to be written, with everything for it."""
        fetches = window.fetches
        # Where a photo of ours is shown, its bytes may tell that nothing has to be written; where
        # none is, the profile may be missing, and the bytes would be read for nothing.
        shown = [(user, fetch) for user, fetch in fetches.values() if self._is_shown(user, fetch)]
        loaded = self._load(window, shown)
        rest = [
            user
            for user, fetch in fetches.values()
            if user.id in loaded or not self._is_shown(user, fetch)
        ]
        profiles = self._profiles(window, rest)
        present = [user for user, _ in profiles.values()]
        loaded |= self._load(
            window, [(user, fetches[user.id][1]) for user in present if user.id not in loaded]
        )
        return self._prepare(
            window,
            [
                (user, loaded[user.id], profile)
                for user, profile in profiles.values()
                if user.id in loaded
            ],
        )

    def _is_shown(self, user: User, fetch: Fetch) -> bool:
        record = self._shards.record(user.id)
        return record is not None and record.claims and not fetch.verify

    def _load(self, window: Window, wanted: Sequence[tuple[User, Fetch]]) -> dict[str, Loaded]:
        """Photos whose thumbnails may have to be written, by id of the user."""
        ask = [(user, self._shards.record(user.id), fetch) for user, fetch in wanted]
        found = self._reader.load(ask, self._now(), window.patience)
        loaded = {}
        for user, fetch in wanted:
            one = found[user.id]
            if isinstance(one, Loaded):
                loaded[user.id] = one
            elif isinstance(one, Settled):
                window.settled[user.id] = (user, one)
            elif isinstance(one, Exception):
                self._on_error(window, user, one, etag=fetch.etag)
            else:
                raise AssertionError("a run removes at its end only")  # noqa: TRY004 - never
        return loaded

    def _profiles(self, window: Window, users: Sequence[User]) -> dict[str, tuple[User, Profile]]:
        """Users with their present name, and their profile; by id."""
        names = self._reader.names(users)
        present = []
        for user in users:
            name = names[user.id]
            if isinstance(name, User):
                present.append(name)
            elif name is None:
                self._on_gone(window, user)
            else:
                self._on_error(window, user, name)
        profiles = self._reader.profiles(present)
        found = {}
        for user in present:
            profile = profiles[user.id]
            if isinstance(profile, Profile):
                found[user.id] = (user, profile)
            else:
                self._on_error(window, user, profile)
        return found

    def _on_gone(self, window: Window, user: User) -> None:
        """The directory does not have the user any more; whatever is shown stays for now."""
        record = self._shards.record(user.id)
        outcome = Outcome.UNCHANGED if record and record.photo else Outcome.NO_PHOTO
        detail = "the user left the directory during this run"
        window.settled[user.id] = (user, Settled(outcome, detail))

    def _prepare(
        self, window: Window, wanted: Sequence[tuple[User, Loaded, Profile]]
    ) -> list[Prepared]:
        ask = [
            (user, self._shards.record(user.id), loaded, profile)
            for user, loaded, profile in wanted
        ]
        found = self._reader.prepare(ask, self._now(), window.patience)
        prepared = []
        for user, loaded, _ in wanted:
            ready = found[user.id]
            if isinstance(ready, Prepared):
                prepared.append(ready)
            elif isinstance(ready, Settled):
                window.settled[user.id] = (user, ready)
            else:
                self._on_error(window, user, ready, etag=loaded.etag)
        return prepared
