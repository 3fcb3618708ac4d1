"""Everything that is only read for a window: photos, present names, profiles, what is shown."""

from collections.abc import Callable, Mapping, Sequence

from shared.checkpoint import Record
from shared.http import Patience
from shared.model import Outcome, User
from shared.sharepoint import Profile
from shared.sync.plan import Fetch, Policy, Settled
from shared.sync.reader import Reader
from shared.sync.user_sync import Loaded, Prepared
from shared.sync.window import Reading


class WindowReader:
    """Reads what the users of one window need, in a thread of its own; used once.

    Args:
        reader: asks the services.
        records: of these users.
        policy: at this moment.
        patience: with a user.
    """

    def __init__(
        self,
        reader: Reader,
        records: Mapping[str, Record | None],
        policy: Policy,
        patience: Callable[[str], Patience],
    ) -> None:
        self._reader = reader
        self._records = records
        self._policy = policy
        self._patience = patience
        self._found = Reading()

    def read(self, fetches: Mapping[str, tuple[User, Fetch]]) -> Reading:
        """What these users come to."""
        # Where a photo of ours is shown, its bytes may tell that nothing has to be written; where
        # none is, the profile may be missing, and the bytes would be read for nothing.
        shown = [(user, fetch) for user, fetch in fetches.values() if self._is_shown(user, fetch)]
        loaded = self._load(shown)
        rest = [
            user
            for user, fetch in fetches.values()
            if user.id in loaded or not self._is_shown(user, fetch)
        ]
        profiles = self._profiles(rest)
        present = [user for user, _ in profiles.values()]
        loaded |= self._load(
            [(user, fetches[user.id][1]) for user in present if user.id not in loaded]
        )
        self._prepare(
            [
                (user, loaded[user.id], profile)
                for user, profile in profiles.values()
                if user.id in loaded
            ]
        )
        return self._found

    def _is_shown(self, user: User, fetch: Fetch) -> bool:
        record = self._records[user.id]
        return record is not None and record.claims and not fetch.verify

    def _load(self, wanted: Sequence[tuple[User, Fetch]]) -> dict[str, Loaded]:
        """Photos whose thumbnails may have to be written, by id of the user."""
        ask = [(user, self._records[user.id], fetch) for user, fetch in wanted]
        found = self._reader.load(ask, self._policy, self._patience)
        loaded = {}
        for user, fetch in wanted:
            one = found[user.id]
            if isinstance(one, Loaded):
                loaded[user.id] = one
            elif isinstance(one, Settled):
                self._found.settled.append((user, one))
            elif isinstance(one, Exception):
                self._found.failed.append((user, one, fetch.etag))
            else:
                raise AssertionError("a run removes at its end only")  # noqa: TRY004 - never
        return loaded

    def _profiles(self, users: Sequence[User]) -> dict[str, tuple[User, Profile]]:
        """Users with their present name, and their profile; by id."""
        names = self._reader.names(users)
        present = []
        for user in users:
            name = names[user.id]
            if isinstance(name, User):
                present.append(name)
            elif name is None:
                self._on_gone(user)
            else:
                self._found.failed.append((user, name, ""))
        profiles = self._reader.profiles(present)
        found = {}
        for user in present:
            profile = profiles[user.id]
            if isinstance(profile, Profile):
                found[user.id] = (user, profile)
            else:
                self._found.failed.append((user, profile, ""))
        return found

    def _on_gone(self, user: User) -> None:
        """The directory does not have the user any more; whatever is shown stays for now."""
        record = self._records[user.id]
        outcome = Outcome.UNCHANGED if record and record.photo else Outcome.NO_PHOTO
        detail = "the user left the directory during this run"
        self._found.settled.append((user, Settled(outcome, detail)))

    def _prepare(self, wanted: Sequence[tuple[User, Loaded, Profile]]) -> None:
        ask = [(user, self._records[user.id], loaded, profile) for user, loaded, profile in wanted]
        found = self._reader.prepare(ask, self._policy, self._patience)
        for user, loaded, _ in wanted:
            ready = found[user.id]
            if isinstance(ready, Prepared):
                self._found.prepared.append(ready)
            elif isinstance(ready, Settled):
                self._found.settled.append((user, ready))
            else:
                self._found.failed.append((user, ready, loaded.etag))
