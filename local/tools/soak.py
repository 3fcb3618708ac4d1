"""`make soak`: many nights over a changing tenant, with faults and quotas; then invented histories.

All on a virtual clock against Azurite. In the end SharePoint must show what Exchange holds, and the
program, which lives through all nights as it does in Azure, must not have grown.
"""

import argparse
import gc
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from local.support.arguments import positive
from local.support.azurite import Azurite
from local.support.terminal import bold, table
from local.tenant import Quotas
from local.tenant.server import CONNECTION_THREAD
from local.tools.soak_life import Life
from shared.checkpoint import SHARDS, runs
from shared.checkpoint.runs import Run
from shared.errors import PhotoSyncError
from shared.model import Outcome
from shared.sync import nightly
from tests.support.history_oracle import Death, Judge
from tests.support.world import NIGHT_SECONDS, World

FIRINGS = 20
"""Per night: every 15 minutes, five hours long."""

_FIRING_SECONDS = 15 * 60.0
_MONTH_SECONDS = 31 * NIGHT_SECONDS
_REST_NIGHTS = 20
_GROWTH_LIMIT_BYTES = 48 * 2**20
_THREAD_TOLERANCE = 8
_ROOT = Path(__file__).resolve().parent.parent.parent


class SoakFailed(Exception):
    """A promise does not hold over time; the message is for people."""


@dataclass
class Night:
    """What one night came to.

    Attributes:
        name: its number, or what it is for.
        run: as it was at the end.
        firings: how many it took.
        failures: of them, those that ended early or died.
        requests: by service, as the tenant counted.
        throttled: answers that asked to wait.
        memory: resident bytes of the process, the tenant included.
        threads: of the process, but for those of the tenant's connections.
    """

    name: str
    run: Run | None = None
    firings: int = 0
    failures: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    memory: int = 0
    threads: int = 0


class Soak:
    """One tenant, one storage container, one program.

    Args:
        azurite: running storage.
        users: people at the beginning.
        seed: of people, changes and faults.
        shards: so many blobs hold the records of all; fewer make a small tenant faster.
    """

    def __init__(self, azurite: Azurite, *, users: int, seed: int, shards: int = SHARDS) -> None:
        self._stack = ExitStack()
        quotas = Quotas.for_licences(users)
        self.world = self._stack.enter_context(
            World(azurite, users=users, seed=seed, plain=False, shards=shards, quotas=quotas)
        )
        for library in self.world.tenant.sharepoint.library.values():
            library.versioning = False  # SharePoint's memory, not ours
        self.judge = Judge(self.world)
        self.nights: list[Night] = []
        self._rng = random.Random(f"soak/{seed}")
        self._life = Life(self.world, self.judge, self._rng)
        self._app = self.world.app()

    def close(self) -> None:
        """End the tenant."""
        self._stack.close()

    def night(self, *, faults: bool = True) -> Night:
        """A day of changes, then a night of firings."""
        self.world.clock.advance(NIGHT_SECONDS)
        if self.nights:
            self._life.day()
        return self._fire_until_done(str(len(self.nights) + 1), faults=faults)

    def rest(self) -> None:
        """A month later, quiet nights: until nothing is left to look at again.

        Raises:
            SoakFailed: SharePoint does not show what Exchange holds, or it never ends.
        """
        self.world.clock.advance(_MONTH_SECONDS)
        for number in range(_REST_NIGHTS):
            self.world.clock.advance(NIGHT_SECONDS)
            run = self._fire_until_done(f"quiet {number + 1}", faults=False).run
            if run is None or run.status != runs.COMPLETED:
                raise SoakFailed(f"a quiet night did not complete: {run}")
            if number >= 2 and not run.reverified:  # noqa: PLR2004 - removals need two nights
                break
        else:
            raise SoakFailed(f"after {_REST_NIGHTS} quiet nights pictures are still looked at")
        try:
            self.judge.converged(run)
        except AssertionError as drift:
            raise SoakFailed(f"SharePoint drifted: {drift}") from drift

    def grown(self) -> None:
        """Compare the end with the beginning.

        Raises:
            SoakFailed: memory, blobs or threads grew.
        """
        early = self.nights[len(self.nights) // 4]
        last = self.nights[-1]
        if last.memory - early.memory > _GROWTH_LIMIT_BYTES:
            raise SoakFailed(
                f"memory grew from {early.memory >> 20} MB in night {early.name} to "
                f"{last.memory >> 20} MB in the last"
            )
        if last.threads > early.threads + _THREAD_TOLERANCE:
            raise SoakFailed(f"threads grew from {early.threads} to {last.threads}")
        ours = [t.name for t in threading.enumerate() if t.name.startswith("photo-sync")]
        if ours:
            raise SoakFailed(f"threads of the program are left: {', '.join(ours)}")
        blobs = self.blobs()
        firsts = len({night.run.started for night in self.nights if night.run})
        if blobs["state"] > SHARDS or blobs["runs"] > 2 * firsts or blobs["run.json"] != 1:
            raise SoakFailed(f"more blobs than {firsts} runs account for: {dict(blobs)}")
        if strange := blobs.keys() - {"state", "runs", "run.json"}:
            raise SoakFailed(f"blobs that nobody expects: {', '.join(sorted(strange))}")

    def blobs(self) -> Counter[str]:
        """How many there are, by the first part of the name."""
        names = self.world.app().container.list_blob_names()
        return Counter(str(name).partition("/")[0] for name in names)

    def _fire_until_done(self, name: str, *, faults: bool) -> Night:
        night = Night(name)
        tenant = self.world.tenant
        planned = self._life.faults() if faults else []
        for fault in planned:
            tenant.faults.add(fault)
        dies = faults and self._rng.random() < 0.3  # noqa: PLR2004 - of the nights
        for firing in range(FIRINGS):
            tenant.tape.clear()
            self._fire(night, dies=dies and firing == 0)
            entries = tenant.tape.entries()
            night.requests.update(entry.service for entry in entries)
            night.throttled += sum(entry.throttled for entry in entries)
            tenant.tape.clear()
            if night.run and night.run.status == runs.COMPLETED:
                break
            self.world.clock.advance(_FIRING_SECONDS)
        tenant.faults.clear()
        self._check(night)
        gc.collect()
        night.memory, night.threads = _resident_bytes(), _threads()
        self.nights.append(night)
        return night

    def _fire(self, night: Night, *, dies: bool) -> None:
        night.firings += 1
        requests = 50 + self.nights[-1].requests.total() if self.nights else 50
        death = Death(self._rng.randrange(requests), after=self._rng.random() < 0.5)  # noqa: PLR2004 - a coin
        try:
            if dies:
                with death.awaits(self.world):
                    nightly.fire(self._app)
            else:
                nightly.fire(self._app)
        except PhotoSyncError:
            night.failures += 1  # what it was is in the run's document
        if dies and death.came:
            night.failures += 1
            self._app = self.world.app()
        night.run = self._app.checkpoint(read_only=True).run()

    def _check(self, night: Night) -> None:
        try:
            self.judge.account(night.run)
        except AssertionError as wrong:
            raise SoakFailed(f"night {night.name}: the counts do not add up: {wrong}") from wrong
        if lies := self.judge.lies():
            raise SoakFailed(
                f"night {night.name}: records claim what SharePoint does not hold, of "
                f"{len(lies)} users, for example {lies[0]}"
            )


def _resident_bytes() -> int:
    """Memory of this process now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


_HEAD = ("night", "status", "firings", "failed", *(o.value for o in Outcome))


def _threads() -> int:
    """Threads but those of the tenant's connections, whose number follows the load."""
    return sum(thread.name != CONNECTION_THREAD for thread in threading.enumerate())


_TAIL = ("Graph", "SharePoint", "throttled", "MB", "threads")


def _row(night: Night) -> list[object]:
    return [
        night.name,
        night.run.status if night.run else "none",
        night.firings,
        night.failures,
        *(night.run.count_of(outcome) if night.run else 0 for outcome in Outcome),
        night.requests["graph"],
        night.requests["sharepoint"],
        night.throttled,
        night.memory >> 20,
        night.threads,
    ]


def soak(azurite: Azurite, *, nights: int, users: int, seed: int, shards: int = SHARDS) -> None:
    """Live through the nights and print what they came to; for the arguments see `Soak`.

    Raises:
        SoakFailed: a promise does not hold.
    """
    began = time.monotonic()
    life = Soak(azurite, users=users, seed=seed, shards=shards)
    try:
        for number in range(nights):
            night = life.night(faults=number > 0)
            print(f"night {night.name}: {time.monotonic() - began:.0f} s", flush=True)
        life.rest()
        life.grown()
    finally:
        print(table((*_HEAD, *_TAIL), (_row(night) for night in life.nights)))
        blobs = life.blobs()
        life.close()
    print(f"Blobs: {', '.join(f'{number} {name}' for name, number in sorted(blobs.items()))}.")
    print(f"No drift, no growth in {len(life.nights)} nights of {users:,} people.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; returns 1 with a sentence on standard error when a promise does not hold."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.soak", description=__doc__)
    parser.add_argument("--nights", type=positive, default=20)
    parser.add_argument("--users", type=positive, default=5000)
    parser.add_argument("--seed", type=int, help="random when omitted")
    parser.add_argument(
        "--histories", type=int, default=100, help="invented by Hypothesis afterwards; 0 for none"
    )
    options = parser.parse_args(arguments)
    seed = random.randrange(2**31) if options.seed is None else options.seed
    logging.getLogger("photo_sync").addHandler(logging.NullHandler())  # the table says it
    print(bold(f"{options.nights} nights, {options.users:,} people, seed {seed}"), flush=True)
    with Azurite() as azurite:
        try:
            soak(azurite, nights=options.nights, users=options.users, seed=seed)
        except SoakFailed as failure:
            again = f"--seed {seed} --nights {options.nights} --users {options.users}"
            print(f"{failure}. Again: python -m local.tools.soak {again}", file=sys.stderr)
            return 1
    if not options.histories:
        return 0
    print(bold(f"{options.histories} histories"), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/sync/test_state_machine.py"],
        cwd=_ROOT,
        env={**os.environ, "STATE_MACHINE_EXAMPLES": str(options.histories)},
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
