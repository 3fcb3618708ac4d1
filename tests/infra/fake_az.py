"""Stands in for the Azure CLI: `az rest` and `az account show` against a directory of the tests.

The program `az` that scripts find is a few lines of bash that hand the command to a server in this
process, because starting Python for each of forty commands would take most of the time. Prints and
fails as the CLI does; `--query` is evaluated by the library that the CLI itself uses.
"""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jmespath

from tests.infra.directory import CLI_SCOPES, TENANT, Directory, RefusedError, reason

_PROGRAM = """#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/{port}
{{ echo $#; printf '%s\\0' "$@"; }} >&3
read -r status <&3
if [ "$status" -eq 0 ]; then cat <&3; else cat <&3 >&2; fi
exit "$status"
"""


class AzError(Exception):
    """The CLI fails with this message."""


@dataclass
class Az:
    """The CLI of somebody who is signed in to a directory.

    Attributes:
        directory: what `az rest` reaches.
        scopes: what the token may do there, as far as its user may.
        tenant: who is signed in to; empty when nobody is.
    """

    directory: Directory
    scopes: frozenset[str] = CLI_SCOPES
    tenant: str = TENANT

    def run(self, arguments: list[str]) -> tuple[int, str]:
        """Exit status, and what is printed."""
        try:
            return 0, self._command(arguments)
        except (AzError, ValueError, LookupError) as error:
            return 1, f"ERROR: {error}\n"

    def _command(self, arguments: list[str]) -> str:
        match arguments:
            case ["login", "--tenant", tenant, "--allow-no-subscriptions"]:
                self.tenant = tenant
                return "[]\n"
            case _ if not self.tenant:
                raise AzError("Please run 'az login' to setup account.")
            case ["rest", *tail]:
                options = dict(zip(tail[::2], tail[1::2], strict=True))
                value = self._rest(options)
            case ["account", "show", *tail]:
                options = dict(zip(tail[::2], tail[1::2], strict=True))
                value = {"tenantId": self.tenant}
            case _:
                raise AzError(f"'{' '.join(arguments)}' is not known to this stand-in")
        return _shown(jmespath.search(options.get("--query", "@"), value), options)

    def _rest(self, options: dict[str, str]) -> Any:
        url = urlsplit(options["--url"])
        root = f"{url.scheme}://{url.netloc}"
        if root != options["--resource"]:
            raise AzError("a token for another resource")
        body = json.loads(options["--body"]) if "--body" in options else {}
        if body and options.get("--headers") != "Content-Type=application/json":
            raise AzError("Bad Request(a body needs its content type)")
        self.directory.roots.add(root)
        try:
            return self.directory.request(
                options["--method"].upper(),
                url.path.removeprefix("/v1.0/"),
                parse_qs(url.query),
                body,
                set(self.scopes),
            )[1]
        except RefusedError as refused:
            raise AzError(f"{reason(refused.status)}({json.dumps(refused.body)})") from None


def _shown(value: Any, options: dict[str, str]) -> str:
    """As `--output tsv`: one line for each value, nothing for null."""
    if options["--output"] == "none" or value is None:
        return ""
    if options["--output"] != "tsv":
        raise AzError("only tsv and none")
    lines = value if isinstance(value, list) else [value]
    rows = (line if isinstance(line, list) else [line] for line in lines)
    return "".join("\t".join("" if c is None else str(c) for c in row) + "\n" for row in rows)


@contextmanager
def serving(run: Callable[[list[str]], tuple[int, str]], program: Path) -> Iterator[None]:
    """Make `program` a command that `run` answers, until the end of the block.

    Args:
        run: gets the arguments, gives exit status and what is printed.
        program: file to be written.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            count = int(self.rfile.readline())
            arguments = [self._argument() for _ in range(count)]
            status, text = run(arguments)
            self.wfile.write(f"{status}\n{text}".encode())

        def _argument(self) -> str:
            data = bytearray()
            while (byte := self.rfile.read(1)) not in (b"\0", b""):
                data += byte
            return data.decode()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        program.write_text(_PROGRAM.format(port=server.server_address[1]), "utf-8")
        program.chmod(0o755)
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
