"""The whole product on one machine: emulated tenant, Azurite, and the functions in their host."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import requests

from local.host import Keys, sign_in
from local.support.azurite import Azurite
from local.tenant import Person, Tenant

ROOT = Path(__file__).resolve().parent.parent.parent
_ANSWER_SECONDS = 230  # longer than that no caller waits in Azure either
_START_SECONDS = 60
_LOG_TAIL_LINES = 20
# Never fires by itself here: the host runs timers only when asked, or with --schedule.
_SCHEDULE = "0 */15 1-5 * * *"


class StackFailed(Exception):
    """A part did not start or died; the message ends with the last lines of its log."""


class Stack:
    """Starts the three parts and stops them; as a context manager, also after an error.

    Args:
        users: people in the tenant.
        seed: of the tenant.
        port: of the functions; 0 for any free one.
        log: file for the host's log; None leaves it on this terminal.
        settings: application settings beside the ones that point to the parts.

    Attributes:
        tenant: in this process, to look into and to change.
        azurite: the blobs.
        keys: of the functions.
        employee, help_desk: who can sign in to the portal.
        url: of the functions, after start.

    Raises:
        StackFailed: the port is taken.
    """

    def __init__(
        self,
        *,
        users: int,
        seed: int = 1,
        port: int = 0,
        log: Path | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        _require_free(port)
        self.tenant = Tenant(users=users, seed=seed)
        self.azurite = Azurite()
        self.keys = Keys.generate()
        self.employee, self.help_desk = _two_people(self.tenant)
        self.url = ""
        self._port = port
        self._log = log
        self._settings = settings or {}
        self._host: subprocess.Popen[str] | None = None
        self._exits = contextlib.ExitStack()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between two ports of this machine

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            exits.callback(self._session.close)
            exits.enter_context(self.tenant)
            exits.enter_context(self.azurite)
            self._start_host(exits)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def wait(self) -> None:
        """Wait forever: the end of the host is an error, and Ctrl-C an exception.

        Raises:
            StackFailed: the host has ended.
        """
        assert self._host is not None  # noqa: S101 - inside of the context
        status = self._host.wait()
        raise StackFailed(f"the functions host has ended with status {status}\n{self.log_tail()}")

    def call(self, method: str, path: str, *, master: bool = False, **options: Any) -> Any:
        """Send a request to the functions; the answer as `requests.Response`.

        Raises:
            StackFailed: the host is gone.
        """
        key = self.keys.master if master else self.keys.function
        try:
            return self._session.request(
                method,
                self.url + path,
                headers={"x-functions-key": key},
                timeout=_ANSWER_SECONDS,
                **options,
            )
        except requests.ConnectionError as error:
            raise StackFailed(f"the functions host is gone: {error}\n{self.log_tail()}") from error

    def log_tail(self) -> str:
        """Last lines of the host's log."""
        if self._log is None:
            return ""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"--- end of {self._log}:", *lines[-_LOG_TAIL_LINES:]])

    def environment(self) -> dict[str, str]:
        """What the functions find in their environment."""
        return (
            os.environ
            | {
                "AzureWebJobsStorage": self.azurite.connection_string,
                "SYNC_SCHEDULE": _SCHEDULE,
                "NO_PROXY": "127.0.0.1,localhost",
                "LOCAL_FUNCTION_KEY": self.keys.function,
                "LOCAL_MASTER_KEY": self.keys.master,
            }
            | self.tenant.settings()
            | sign_in.settings(
                [(p.id, p.display_name, p.upn) for p in (self.employee, self.help_desk)]
            )
            | self._settings
        )

    def _start_host(self, exits: contextlib.ExitStack) -> None:
        log = exits.enter_context(self._log.open("w", encoding="utf-8")) if self._log else None
        command = [
            sys.executable,
            "-m",
            "local.host",
            "--until-eof",
            "--port",
            str(self._port),
        ]
        self._host = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.PIPE,  # closes with this process, which ends the host
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        exits.callback(self._stop_host, self._host)
        self.url = self._await_url(self._host)

    def _await_url(self, host: subprocess.Popen[str]) -> str:
        assert host.stdout is not None  # noqa: S101 - a pipe was asked for
        late = threading.Timer(_START_SECONDS, host.kill)
        late.start()
        try:
            line = host.stdout.readline()
        finally:
            late.cancel()
        if " on http://" not in line:
            raise StackFailed(f"the functions host did not start\n{self.log_tail()}")
        return line.split()[-1]

    @staticmethod
    def _stop_host(host: subprocess.Popen[str]) -> None:
        host.kill()
        host.wait()
        for pipe in (host.stdin, host.stdout):
            if pipe is not None:
                pipe.close()


def _two_people(tenant: Tenant) -> tuple[Person, Person]:
    """An employee and somebody of the help desk: ordinary members with a photo and a profile."""
    people = [
        person
        for person in tenant.directory.people.values()
        if person.user_type == "Member" and person.account_enabled
    ]
    people.sort(key=lambda p: not (p.photo and p.has_profile and p.kind == "ordinary"))
    # A tenant of one has nobody else.
    return people[0], people[min(1, len(people) - 1)]


def _require_free(port: int) -> None:
    """Refuse a taken port before anything is started.

    Raises:
        StackFailed: somebody listens there.
    """
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise StackFailed(
            f"port {port} cannot be used ({error.strerror}): end what uses it, or choose another "
            "one with --port"
        ) from error


def end_on_sigterm() -> None:
    """Make a polite kill end this process as Ctrl-C does: everything started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
