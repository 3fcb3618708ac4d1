"""Sees everything that leaves the program, to look for secrets in it."""

import base64
import functools
import io
import logging
import traceback
from collections.abc import Callable
from typing import Any, Self

from PIL import Image

from local.host import InvocationFailed
from local.support.azurite import KEY
from tests.support.served_world import Reply, Served

MARK = "The-Bytes-Of-A-Photo-Must-Stay-Where-They-Are"
_LONG_ENOUGH = 20


class Eyes(logging.Handler):
    """Collects log records at DEBUG, answers, blobs and exception texts; a context manager.

    Args:
        served: whose secrets are looked for.
    """

    def __init__(self, served: Served) -> None:
        super().__init__(logging.DEBUG)
        self._served = served
        self._texts: list[tuple[str, str]] = []
        self.secrets: dict[str, str] = {
            "storage key": KEY,
            "function key": served.keys.function,
            "master key": served.keys.master,
            "identity header": served.world.settings["IDENTITY_HEADER"],
            "photo": MARK,
            "photo in Base64": base64.b64encode(MARK.encode())[4:-8].decode(),
        }
        self._watch_tokens()

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a log record, with its traceback."""
        text = self.format(record)
        self._texts.append((f"log of {record.name}", f"{text} {record.args!r}"))

    def see(self, what: str, text: object) -> None:
        """Keep anything else."""
        self._texts.append((what, text if isinstance(text, str) else repr(text)))

    def reply(self, reply: Reply) -> Reply:
        """Keep an HTTP answer."""
        self.see("answer", f"{dict(reply.headers)} {reply.body.decode('utf-8', 'replace')}")
        return reply

    def attempt(self, work: Callable[[], Any]) -> None:
        """Do something that may fail; keep how the host would show the failure."""
        try:
            work()
        except InvocationFailed as failed:
            self.see("failed invocation", f"{failed.error}\n{failed.trace}")
        except Exception as error:  # noqa: BLE001 - any is looked at
            self.see("exception", "".join(traceback.format_exception(error)))

    def found(self) -> set[tuple[str, str]]:
        """Where which secret was seen; blobs are looked at now."""
        for name, data in self._served.world.blobs().items():
            self.see(f"blob {name}", data.decode("utf-8", "replace"))
        return {
            (secret, where)
            for where, text in self._texts
            for secret, value in self.secrets.items()
            if value in text
        }

    def count(self, where: str) -> int:
        """How many texts of a kind were looked at."""
        return sum(found.startswith(where) for found, _ in self._texts)

    def _watch_tokens(self) -> None:
        tokens = self._served.world.tenant.tokens
        mint = tokens.mint

        def watched(*arguments: Any, **claims: Any) -> str:
            token = mint(*arguments, **claims)
            for number, part in enumerate(token.split(".")[1:], 1):
                # Its beginning, because a token that was cut off is one too many as well.
                assert len(part) > _LONG_ENOUGH
                name = f"token {len(self.secrets)}, part {number}"
                self.secrets[name] = part[:_LONG_ENOUGH]
            return token

        tokens.mint = watched  # type: ignore[method-assign]  # restored with the tenant's end


@functools.cache
def marked_photo(kind: str = "JPEG") -> bytes:
    """A good photo that carries the mark in its metadata, and in bytes that are not decoded."""
    image = Image.radial_gradient("L").convert("RGB").resize((648, 648))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the metadata must be read
    exif[0x010E] = MARK  # description
    exif[0x9286] = MARK.encode()  # user comment
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, comment=MARK.encode())
    return buffer.getvalue() + MARK.encode()
