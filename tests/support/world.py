"""A tenant, storage and the program in one process, on a clock that tests drive."""

import json
import os
import uuid
from collections import Counter
from collections.abc import Hashable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Self

import pytest

from local.support.azurite import Azurite
from local.support.clock import VirtualClock
from local.tenant import Entry, Quirks, Quotas, Tenant
from shared.app import App
from shared.checkpoint import Record, Run
from shared.checkpoint.records import parse_shard
from shared.config import load
from shared.errors import BrokenState, RunStopped
from shared.model import Outcome
from shared.sync import nightly, on_demand
from shared.sync.user_sync import Result
from tests.support.blob_requests import read_blobs
from tests.support.past import Past
from tests.support.program_clock import ProgramClock, requests_take_no_time
from tests.support.rendering import rendered_once

NIGHT_SECONDS = 24 * 3600.0

_STORAGE = ("AzureWebJobsStorage", "CHECKPOINT_CONTAINER")
_SCOPE = ("USER_FILTER", "SYNC_GROUP_ID")
_settled: dict[Hashable, Past] = {}
"""Worlds of this process after their first night, by their people."""


class World:
    """Everything a test of the whole program needs; use as a context manager.

    Args:
        azurite: a running one; each world gets a container of its own in it.
        users: number of people.
        plain: everybody has a mailbox, a profile and a good photo.
        shards: so many blobs hold the records of all; fewer make a test faster.
        settings: application settings over the defaults.
        settled: the first night is over. It ran with the default settings but for the scope, in
            this world or in one like it, of which this one takes over the records and what
            SharePoint holds.

    Attributes:
        files_before: what SharePoint held before the program's first write, by URL; known of a
            settled world only.
    """

    def __init__(
        self,
        azurite: Azurite,
        *,
        users: int = 20,
        seed: int = 1,
        plain: bool = True,
        shards: int = 256,
        quirks: Quirks | None = None,
        quotas: Quotas | None = None,
        settings: Mapping[str, str] | None = None,
        settled: bool = False,
    ) -> None:
        self.clock = VirtualClock()
        self.tenant = Tenant(
            users=users, seed=seed, plain=plain, clock=self.clock, quirks=quirks, quotas=quotas
        )
        _gather(self.tenant, shards)
        self.account_url = azurite.blob_url
        self.settings: dict[str, str] = {
            "AzureWebJobsStorage": azurite.connection_string,
            **(settings or {}),
        }
        self.new_container()
        self.files_before: dict[str, bytes] | None = None
        scope = tuple(self.settings.get(name) for name in _SCOPE)
        like = (users, seed, plain, shards, repr(quirks), repr(quotas), scope)
        self._like = like if settled else None
        self.lease_seconds = 0.0
        """What the program's lease is timed by; whoever freezes a host moves it."""
        self._app: App | None = None
        self._program_clock = ProgramClock(self.clock)
        self._environ = dict(os.environ)
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self.tenant.start()
        tenant = self.tenant.settings()
        self.settings = {**tenant, **self.settings}
        # The identity library reads these from the process, as it does in Azure.
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            os.environ[name] = tenant[name]
        self._exit.enter_context(rendered_once())
        self._exit.enter_context(requests_take_no_time())
        if self._like:
            self._settle(self._like)
        return self

    def _settle(self, like: Hashable) -> None:
        self.files_before = self.files()
        if like not in _settled:
            wanted = self.settings
            names = {*self.tenant.settings(), *_STORAGE, *_SCOPE}
            self.settings = {name: wanted[name] for name in names & wanted.keys()}
            run = self.fire()
            assert (run.status, run.count_of(Outcome.FAILED)) == ("completed", 0)
            self.settings = wanted
            _settled[like] = Past(self)
        _settled[like].restore(self)

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._environ)
        self._exit.close()
        self.tenant.stop()

    def app(self, **changed: str) -> App:
        """The program as a new process would have it, with settings changed for good.

        Its lease never runs out by its own clock: however slow the machine, storage decides.
        """
        self.settings.update(changed)
        self._app = App(
            load(self.settings), self._program_clock, lease_clock=lambda: self.lease_seconds
        )
        return self._app

    def fire(self, **changed: str) -> Run:
        """Fire the nightly run; fails the test when another firing is at work."""
        run = nightly.fire(self.app(**changed))
        assert run is not None, "another firing is at work"
        return run

    def night(self, nights: float = 1, **changed: str) -> Run:
        """Let nights pass, then fire; the tape holds only this firing."""
        self.clock.advance(nights * NIGHT_SECONDS)
        self.tenant.tape.clear()
        return self.fire(**changed)

    def stopped(self, **changed: str) -> tuple[Run, str]:
        """Fire a run that stops early; how it stands, and the message."""
        with pytest.raises(RunStopped) as stop:
            self.fire(**changed)
        return self.kept_run(), str(stop.value)

    def kept_run(self) -> Run:
        """The run as its document has it."""
        run = self.app().checkpoint(read_only=True).run()
        assert run is not None
        return run

    def report(self, run: Run) -> dict[str, Any]:
        """The report of a run."""
        name = f"runs/{run.started}.json"
        report: dict[str, Any] = json.loads(self.blobs(name)[name])
        return report

    def lines(self, run: Run) -> list[dict[str, Any]]:
        """The lines of a run's report, in order."""
        name = f"runs/{run.started}.jsonl"
        return [json.loads(line) for line in self.blobs(name).get(name, b"").splitlines()]

    def call(self, name: str, *, force: bool = False, dry_run: bool = False) -> Result:
        """Synchronise one user on demand."""
        return on_demand.sync_user(self.app(), name, force=force, dry_run=dry_run)

    def records(self) -> dict[str, Record]:
        """Everything the checkpoint knows; a broken shard knows nothing."""
        known: dict[str, Record] = {}
        for shard in self.blobs("state/").values():
            with suppress(BrokenState):
                known |= parse_shard(shard)
        return known

    def blobs(self, prefix: str = "") -> dict[str, bytes]:
        """Content of the container's blobs by name."""
        return read_blobs(self.account_url, self.settings["CHECKPOINT_CONTAINER"], prefix)

    def new_container(self) -> str:
        """Go on with a container that does not exist yet; its name."""
        self.settings["CHECKPOINT_CONTAINER"] = f"test-{uuid.uuid4().hex}"
        return self.settings["CHECKPOINT_CONTAINER"]

    def files(self) -> dict[str, bytes]:
        """Every file of every My Site host by URL, not encoded."""
        return {
            f"{self.tenant.url(origin)}{path}": content
            for origin, library in self.tenant.sharepoint.library.items()
            for path, content in library.contents().items()
        }

    def operations(self) -> Counter[str]:
        """How often each operation is on the tape."""
        return Counter(entry.operation for entry in self.tenant.tape.entries())

    def writes(self) -> list[Entry]:
        """Requests on the tape that changed SharePoint."""
        return list(self.tenant.tape.writes())

    def ids(self) -> list[str]:
        """Object ids of the people, in order."""
        return sorted(self.tenant.directory.people)


def _gather(tenant: Tenant, shards: int) -> None:
    """Give people object ids that begin with few different digits."""
    directory = tenant.directory
    new = {old: f"{int(old[:2], 16) % shards:02x}{old[2:]}" for old in directory.people}
    people = list(directory.people.values())
    groups = {
        group: {new.get(member, member) for member in members}
        for group, members in directory.groups.items()
    }
    for person in people:
        directory.remove(person.id)
    for person in people:
        person.id = new[person.id]
        directory.add(person)
    directory.groups |= groups


def outcomes(run: Run) -> dict[str, int]:
    """Counts of a run without the zeros."""
    return {outcome.value: run.count_of(outcome) for outcome in Outcome if run.count_of(outcome)}


def jpeg(colour: tuple[int, int, int] = (200, 30, 60), side: int = 648) -> bytes:
    """A photo of one colour."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def void(_: object) -> None:
    """For actions that are only wanted for their effect."""
