"""What operators read in the log: nothing of it is lost because of the thread it comes from."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.sync.user_sync import UserSync
from tests.support.log_threads import unnamed_threads
from tests.support.served_world import ROOT, Served

Make = Callable[..., Served]


def broken(*_: object, **__: object) -> None:
    """A bug."""
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("step", ["load", "prepare", "write"])
def test_a_bug_in_a_worker_thread_is_logged(
    served: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """G1: the host hears "internal error" with its traceback, whatever thread met the bug."""
    here = served(users=3, shards=1)
    monkeypatch.setattr(UserSync, step, broken)
    here.fire()
    texts = [record.getMessage() for record in here.worker.log.heard]
    told = [text for text in texts if "internal error" in text]
    assert len(told) == 3
    assert all("ZeroDivisionError: a bug" in text for text in told)
    lost = [record.getMessage() for record in here.worker.log.dropped]
    assert not [text for text in lost if "internal error" in text]


def test_every_thread_of_the_program_has_its_name() -> None:
    """The watch over all tests tells the program's threads by their names."""
    assert unnamed_threads(ROOT / "shared") == []


def test_a_thread_without_its_name_is_noticed(tmp_path: Path) -> None:
    """Neither a thread nor a pool of threads, whatever way it is started."""
    (tmp_path / "a.py").write_text(
        'Thread(target=f)\nthreading.Thread(name="x")\nThreadPoolExecutor(4)\n'
        'Thread(name="photo-sync-x")\nThreadPoolExecutor(4, f"photo-sync-{n}")\n'
    )
    assert unnamed_threads(tmp_path) == ["a.py:1", "a.py:2", "a.py:3"]


@pytest.mark.parametrize(
    ("name", "lost"),
    [("photo-sync-read_0", ["photo-sync-read_0: photo_sync.http: hi"]), ("Thread-1", [])],
)
def test_the_watch_over_all_tests_sees_it(lost_log: list[str], name: str, lost: list[str]) -> None:
    """What one of the program's threads logs would fail the test in which it happens."""
    log = logging.getLogger("photo_sync.http")
    thread = threading.Thread(target=log.warning, args=("hi",), name=name)
    thread.start()
    thread.join()
    assert lost_log == lost
    lost_log.clear()


def test_a_misspelled_setting_is_named_in_the_log(served: Make) -> None:
    """C11: `REMOVE_PHOTO=false` is no setting: the invocation's log names the one that is meant."""
    here = served(users=1)
    here.settings(REMOVE_PHOTO="false")
    here.fire()
    (told,) = [r for r in here.worker.log.heard if "REMOVE_PHOTO:" in r.getMessage()]
    assert told.levelno == logging.WARNING
    assert "REMOVE_PHOTOS" in told.getMessage()
