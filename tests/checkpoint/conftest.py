"""A firing that owns the blobs of a run."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from shared.app import App
from shared.checkpoint.runs import Run
from tests.support.blob_faults import end_lease
from tests.support.run_firing import Fire, Firing, a_run


@pytest.fixture
def fire(app: App) -> Iterator[Fire]:
    """Makes a firing; it takes the lease away from the one before, as its end would."""
    with ExitStack() as stack:
        made = list[Firing]()

        def make(run: Run | None = None) -> Firing:
            if made:
                end_lease(app.container)
            made.append(Firing(app, stack, run or a_run()))
            return made[-1]

        yield make
