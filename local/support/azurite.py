"""Azurite, Microsoft's storage emulator, as blob storage for tests, demo and local runs.

Blobs only, in memory, on a free port of 127.0.0.1. Source: Azurite's README.
"""

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from local.support.certificate import write_certificate

ACCOUNT = "devstoreaccount1"
# Azurite's well-known development key (its README); it protects nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_ROOT = Path(__file__).resolve().parent.parent.parent
_LISTENING = re.compile(rb"successfully listens on (https?://\S+)")
_START_LIMIT_SECONDS = 60
# Ends Azurite when its standard input closes, so that it outlives no parent, however that dies.
_END_WITH_PARENT = "process.stdin.on('end', process.exit).resume().unref()"
# Ten minutes after its start, and every ten minutes, Azurite deletes the content of blobs that were
# written over, and answers nobody meanwhile: for 76 seconds after 5,800 writes (version 3.37). No
# run here is so long that it needs that memory back, so those timers get the longest time there is.
_NEVER_COLLECT = (
    "const later = setTimeout; globalThis.setTimeout = (work, time, ...rest) => "
    f"later(work, time === {10 * 60 * 1000} ? {2**31 - 1} : time, ...rest)"
)
# It loads the library of its telemetry, which is off here, and that takes most of its start.
_WITHOUT_TELEMETRY = (
    "import module from 'node:module'; const load = module._load; module._load = (name, ...rest) "
    "=> name === 'applicationinsights' ? {} : load.call(module, name, ...rest)"
)
_BEFORE_START = "data:text/javascript," + quote(
    f"{_WITHOUT_TELEMETRY}; {_END_WITH_PARENT}; {_NEVER_COLLECT}"
)
_REMEDY = "run `make setup`, or name Azurite's azurite-blob in AZURITE_BLOB"


class AzuriteFailed(Exception):
    """Azurite is missing or did not start; the message names the remedy."""


class Azurite:
    """One Azurite process, empty at start, gone at the end.

    Args:
        https: serve TLS with an own certificate and accept bearer tokens (`--oauth basic`), which
            are checked for shape, audience, issuer and times.

    Attributes (after start):
        blob_url: `http(s)://127.0.0.1:<port>/devstoreaccount1`.
        connection_string: for account key access.
        certificate: PEM file that clients must trust; None without https.

    Raises:
        AzuriteFailed: at start.
    """

    def __init__(self, *, https: bool = False) -> None:
        self._https = https
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.blob_url = ""
        self.connection_string = ""
        self.certificate: Path | None = None

    def start(self) -> Self:
        """Start the process and wait until it listens."""
        self._folder = tempfile.TemporaryDirectory(prefix="azurite-")
        folder = Path(self._folder.name)
        options = ["--silent", "--inMemoryPersistence", "--disableTelemetry"]
        # current SDKs send API versions newer than the emulator knows
        options += ["--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", "0"]
        if self._https:
            certificate, key = write_certificate(folder)
            options += ["--cert", str(certificate), "--key", str(key), "--oauth", "basic"]
            self.certificate = certificate
        atexit.register(self.stop)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [*_command(), *options],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            self.blob_url = f"{self._await_address()}/{ACCOUNT}"
        except BaseException:
            self.stop()
            raise
        self.connection_string = (
            f"DefaultEndpointsProtocol={self.blob_url.partition(':')[0]};AccountName={ACCOUNT};"
            f"AccountKey={KEY};BlobEndpoint={self.blob_url};"
        )
        return self

    def stop(self) -> None:
        """End the process; safe to call again."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.kill()  # it keeps nothing on disk that could need saving
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_address(self) -> str:
        assert self._process is not None  # noqa: S101 - start() has just set it
        output = self._process.stdout
        assert output is not None  # noqa: S101 - a pipe was asked for
        lines: list[bytes] = []
        late = threading.Timer(_START_LIMIT_SECONDS, self._process.kill)
        late.start()
        try:
            for line in output:
                lines.append(line)
                if found := _LISTENING.search(line):
                    threading.Thread(target=_drain, args=(output,), daemon=True).start()
                    return found[1].decode()
        finally:
            late.cancel()
        said = b"".join(lines).decode(errors="replace").strip()[-2000:]
        raise AzuriteFailed(f"Azurite did not start ({_REMEDY}); it said: {said or 'nothing'}")


def _drain(output: IO[bytes]) -> None:
    """Keep reading, so that the process never blocks on a full pipe."""
    try:
        while output.read1(65536):  # type: ignore[attr-defined]  # a BufferedReader
            pass
    except ValueError:
        pass  # closed by stop()


def _command() -> list[str]:
    """How to run azurite-blob: by node itself, so that killing the process kills the server."""
    if named := os.environ.get("AZURITE_BLOB"):
        script = Path(named).resolve()
        if not script.exists():
            raise AzuriteFailed(f"AZURITE_BLOB names {named}, which does not exist")
        if script.suffix != ".js":
            return [str(script)]
    else:
        package = _ROOT / "node_modules" / "azurite"
        if not (package / "package.json").exists():
            raise AzuriteFailed(f"Azurite is not installed: {_REMEDY}")
        document = json.loads((package / "package.json").read_text(encoding="utf-8"))
        script = package / document["bin"]["azurite-blob"]
    node = shutil.which("node")
    if node is None:
        raise AzuriteFailed("Node.js is not on the PATH: install it from https://nodejs.org")
    return [node, "--import", _BEFORE_START, str(script)]
