"""Parsers for the texts of settings: each returns the value or raises ValueError."""

import re
from collections.abc import Callable, Container

_LOOPBACK = re.compile(r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]", re.ASCII)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[::1\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[a-z0-9]{3,24})?/?"
)
_HIGHEST_PORT = 65535
_STANDARD_PORTS = {"https": 443, "http": 80}


class Hint(ValueError):
    """A wrong value whose remedy is known: the text is for the operator."""


def origin(text: str) -> str:
    """Normal form of a web origin: `scheme://host[:port]`, lower case, no trailing slash.

    Raises:
        ValueError: no origin, or plain http to anything but this machine.
    """
    return _url(text, loopback_path=False)


def service_url(text: str) -> str:
    """An origin; on loopback also with the account as path, as storage emulators have it.

    Raises:
        ValueError: neither.
    """
    return _url(text, loopback_path=True)


def _url(text: str, *, loopback_path: bool) -> str:
    match = _URL.fullmatch(text.lower())
    if match is None:
        raise ValueError
    scheme, host, port_text, path = match.group("scheme", "host", "port", "path")
    port = int(port_text or _STANDARD_PORTS[scheme])
    loopback = _LOOPBACK.fullmatch(host) is not None
    if scheme == "http" and not loopback:
        raise Hint("plain http is for loopback only")
    if not 0 < port <= _HIGHEST_PORT or (path and not (loopback and loopback_path)):
        raise ValueError
    standard = port == _STANDARD_PORTS[scheme]
    return f"{scheme}://{host}" + ("" if standard else f":{port}") + (path or "")


def matching(pattern: str) -> Callable[[str], str]:
    """A parser that takes texts of this form as they are."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError
        return text

    return parse


company = matching(r"[ -.0-{}~]{1,40}")  # printable ASCII but | and /, which delimit User-Agent
connection_name = matching(r"[A-Za-z0-9_.-]{1,128}")
container = matching(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")
_schedule = matching(r"[0-9A-Za-z*/,-]+(?:\s+[0-9A-Za-z*/,-]+){4,5}")
single_line = matching(r"[^\x00-\x1f\x7f]+")
storage_account = matching(r"[a-z0-9]{3,24}")
_decimal = matching(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_digits = matching(r"[0-9]{1,9}")
_guid = matching(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_tenant_name = matching(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
_TENANT_IN_HOST = re.compile(r"(?:https?://)?([a-z0-9-]+?)(?:-my|-admin)?\.[a-z]")


def one_of(names: Container[str]) -> Callable[[str], str]:
    """A parser for one of these lower-case names, written in any case."""

    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError
        return text.lower()

    return parse


def guid(text: str) -> str:
    """A GUID in lower case, which is how Entra writes them."""
    return _guid(text.lower())


def tenant(text: str) -> str:
    """The tenant's name in SharePoint hosts. For a whole host, the error names the tenant."""
    name = text.lower()
    if host := _TENANT_IN_HOST.match(name):
        raise Hint(f"write {host[1]}")
    return _tenant_name(name)


def switch(text: str) -> bool:
    """True, false, 1 or 0 in any case."""
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if value is None:
        raise ValueError
    return value


def number(low: float, high: float) -> Callable[[str], float]:
    """A parser for plain decimals of that range: no sign, exponent, `nan` or `inf`."""

    def parse(text: str) -> float:
        value = float(_decimal(text))
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser for whole numbers of that range."""

    def parse(text: str) -> int:
        value = int(_digits(text))
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def sizes(text: str) -> tuple[int, int, int]:
    """Three ascending numbers of pixels, separated by commas."""
    small, medium, large = (whole(16, 1024)(part.strip()) for part in text.split(","))
    if not small < medium < large:
        raise ValueError
    return small, medium, large


def hosts(text: str) -> tuple[str, ...]:
    """Origins of a list of host names; a loopback host may be given with scheme and port."""
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    return tuple(origin(name if "://" in name else f"https://{name}") for name in names)


def schedule(text: str) -> str:
    """The text of a schedule, as it is, when it has the fields of one.

    `Schedule` reads it. A schedule that never fires stops the timer only, so it is no malformed
    setting: the check *function schedule* names it, and calls for one user go on.
    """
    _schedule(text.strip())
    return text
