"""Tenant, storage and functions together, as the demo and `make start` run them."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Self
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobServiceClient

from local import start
from local.demo import __main__ as demo
from local.support import stack
from local.support.azurite import Azurite
from local.support.stack import Stack, StackFailed
from local.tools import bench, soak

ROOT = Path(__file__).parents[3]
_ROW = re.compile(r"^ +(\S.*?) {2,}([\d,]+) +([\d,]+)$", re.MULTILINE)


@pytest.fixture
def lent_storage(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stacks use the storage of this process: to start one of their own takes over a second."""

    class Lent(Azurite):
        def start(self) -> Self:
            self.connection_string = azurite.connection_string
            return self

    monkeypatch.setattr(stack, "Azurite", Lent)
    yield
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        for container in client.list_containers(demo._CONTAINER):
            client.delete_container(container)


@pytest.mark.usefixtures("lent_storage")
def test_demo_tells_two_nights_and_writes_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second night writes the five changed people and nobody else; no key is printed."""
    monkeypatch.setattr(demo, "_FOLDER", tmp_path)
    monkeypatch.setattr(demo, "end_on_sigterm", lambda: None)  # this is the tests' process
    assert demo.main(["--users", "20"]) == 0
    said = capsys.readouterr().out
    rows = {name: (one, two) for name, one, two in re.findall(_ROW, said)}
    assert rows["updated"][1] == "5"
    assert rows["unchanged"] == ("0", str(int(rows["updated"][0]) - 5))
    assert rows["of which write"][1] == str(5 * 4)  # three files, one query
    assert '"outcome": "updated"' in said
    assert re.findall("x-functions-key: (.+?)'", said) == ["…"]
    assert (tmp_path / "index.html").as_uri() in said
    assert (tmp_path / "index.html").read_text().count('class="panel person"') == 20 + 5


@pytest.mark.usefixtures("lent_storage")
def test_host_that_does_not_start_is_explained_by_its_log(tmp_path: Path) -> None:
    """The error ends with what the failing part said."""
    settings = {"PYTHON_SCRIPT_FILE_NAME": "README.md"}  # makes it an app of the v2 model
    with pytest.raises(StackFailed, match=r"README.md makes this a v2 app"):  # noqa: SIM117
        with Stack(users=2, log=tmp_path / "host.log", settings=settings):
            pass


def test_taken_port_is_refused_before_anything_starts() -> None:
    """With the port and the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = rf"port {port} cannot be used \(.+\): end what uses it, or choose .* --port"
        with pytest.raises(StackFailed, match=said), Stack(users=2, port=port):
            pass


@pytest.mark.parametrize("module", [start, demo, bench, soak])
def test_a_tenant_without_people_is_refused(
    module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--users 0` is wrong usage, said before anything starts."""
    with pytest.raises(SystemExit) as ended:
        module.main(["--users", "0"])
    assert ended.value.code == 2
    assert "'0' is not a whole number of at least 1" in capsys.readouterr().err


@pytest.mark.usefixtures("lent_storage")
def test_start_ends_when_its_host_dies(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 and why, instead of a prompt that waits for nothing."""
    monkeypatch.setattr(start, "end_on_sigterm", lambda: None)  # this is the tests' process
    helped = start._help

    def kill(running: Stack) -> str:
        assert running._host is not None
        running._host.kill()
        return helped(running)

    monkeypatch.setattr(start, "_help", kill)
    assert start.main(["--users", "3", "--port", "0"]) == 1
    assert "make start: the functions host has ended with status -9" in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_start_serves_until_it_is_ended(
    ending: signal.Signals, nobody_listens: Callable[[str], bool]
) -> None:
    """It prints ready commands; afterwards nothing listens, however it ended."""
    command = [sys.executable, "-m", "local.start", "--users", "5", "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own command line
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background lets them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as start:
        assert start.stdout is not None
        lines = []
        for line in start.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        start.send_signal(ending)
    commands = [line.strip() for line in lines if line.startswith("  curl ")]
    urls = [command.split()[-1] for command in commands]
    paths = [urlsplit(url).path for url in urls]
    assert paths[:2] == ["/admin/functions/SyncTimer", "/api/sync"]
    assert paths[2].startswith("/api/sync/")
    assert nobody_listens(urls[0])
