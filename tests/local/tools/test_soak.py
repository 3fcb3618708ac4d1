"""`make soak` in small: what it promises, and that it notices when a promise is broken."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from local.support.azurite import Azurite
from local.tools import soak


@pytest.fixture
def life(azurite: Azurite) -> Iterator[soak.Soak]:
    """A small tenant after its first night."""
    living = soak.Soak(azurite, users=10, seed=1, shards=1)
    living.night(faults=False)
    yield living
    living.close()


def test_some_nights_leave_neither_drift_nor_growth(
    azurite: Azurite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promises 2, 3, 13: changes, faults, quotas and a death later all is as it should be."""
    # With this seed a firing dies, and requests are throttled.
    soak.soak(azurite, nights=3, users=40, seed=1, shards=4)
    told = capsys.readouterr().out
    assert "No drift, no growth in 6 nights of 40 people." in told
    rows = [line.split() for line in told.splitlines() if " completed " in line]
    assert len(rows) == 6


def test_a_picture_that_vanished_is_noticed(life: soak.Soak) -> None:
    """A record that claims what is not there ends the soak at once."""
    # Everybody's: a night looks at some of them, and repairs those.
    for path in list(life.world.tenant.sharepoint.files()):
        if "_SThumb" in path:
            life.world.tenant.sharepoint.library["mysite"].delete(path)
    with pytest.raises(soak.SoakFailed, match="night 2: records claim what SharePoint does not"):
        life.night(faults=False)


def test_a_blob_too_many_is_noticed(life: soak.Soak) -> None:
    """Blobs are state, reports and the run, and nothing else."""
    life.grown()
    life.world.app().container.upload_blob("broken/x", b"")
    with pytest.raises(soak.SoakFailed, match="blobs that nobody expects: broken"):
        life.grown()


def test_growth_is_noticed(life: soak.Soak) -> None:
    """Memory and threads of the last night are compared with those of an early one."""
    life.night(faults=False)
    first, last = life.nights
    first.memory = last.memory - 100 * 2**20
    life.nights = [first, first, first, last]
    with pytest.raises(soak.SoakFailed, match=r"memory grew from \d+ MB in night 1 to \d+ MB"):
        life.grown()
    first.memory, first.threads = last.memory, last.threads - 50
    with pytest.raises(soak.SoakFailed, match="threads grew from"):
        life.grown()


def test_a_failure_ends_with_a_sentence_and_the_command_to_repeat_it(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1."""

    def fail(*_: object, **__: object) -> None:
        raise soak.SoakFailed("SharePoint drifted")

    monkeypatch.setattr(soak, "soak", fail)
    # One that runs already, as a start takes more than a second.
    monkeypatch.setattr(soak, "Azurite", lambda: nullcontext(azurite))
    assert soak.main(["--seed", "7", "--users", "20"]) == 1
    assert (
        "SharePoint drifted. Again: python -m local.tools.soak --seed 7" in capsys.readouterr().err
    )
