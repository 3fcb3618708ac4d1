"""Operators see what the invocation's thread logs; what other threads log is lost, as in Azure."""

import io
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from local.host import Host, HostLog, Worker

_SOURCE = """
import contextvars
import logging
import threading
import azure.functions as func

log = logging.getLogger("photo_sync.test")

def main(req: func.HttpRequest, context: func.Context) -> str:
    def told():
        context.thread_local_storage.invocation_id = context.invocation_id
        log.warning("from a thread that tells its invocation")

    copied = contextvars.copy_context()
    log.warning("from the invocation")
    for work in (
        lambda: log.warning("from another thread"),
        lambda: copied.run(log.warning, "from a copied context"),
        told,
    ):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return ""
"""
_HEARD = [
    "from the invocation",
    "from a copied context",
    "from a thread that tells its invocation",
]


@pytest.fixture
def root(write_app: Callable[..., Path], http_bindings: list[dict[str, object]]) -> Path:
    """An app whose only function logs from several threads."""
    return write_app({"Talk": (http_bindings, _SOURCE)})


def test_records_of_other_threads_are_dropped(root: Path) -> None:
    """Unless the thread says which invocation it works for."""
    with Worker(root) as worker:
        worker.invoke_http("Talk", url="http://127.0.0.1/api/talk")
        assert [record.getMessage() for record in worker.log.heard] == _HEARD
        assert [record.getMessage() for record in worker.log.dropped] == ["from another thread"]


def test_log_has_the_hosts_categories_and_nothing_that_was_dropped(root: Path) -> None:
    """`Function.<name>.User` for the functions; the host's own records as they are."""
    text = io.StringIO()
    output = logging.StreamHandler(text)
    output.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    with Worker(root, log=HostLog(output)) as worker, Host(worker, root, {}):
        worker.invoke_http("Talk", url="http://127.0.0.1/api/talk")
        logging.getLogger("local.host").warning("of the host")
    lines = [f"WARNING Function.Talk.User {message}" for message in _HEARD]
    assert text.getvalue().splitlines() == [*lines, "WARNING local.host of the host"]


def test_what_is_logged_after_the_invocation_is_dropped(root: Path) -> None:
    """A record without a running invocation has nobody to be shown to."""
    with Worker(root) as worker:
        logging.getLogger("photo_sync.test").warning("too late")
    assert [record.getMessage() for record in worker.log.dropped] == ["too late"]
    assert not worker.log.heard
