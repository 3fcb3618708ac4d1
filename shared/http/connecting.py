"""A connected socket in time: name resolution, addresses, keep-alive probes."""

import socket
import threading
from typing import Any

from shared.http.exchange import current, within

CONNECT_SECONDS = 10.0
"""Longest time until a connection stands, all addresses of the host together."""

_PROBE_IDLE_SECONDS, _PROBE_INTERVAL_SECONDS, _PROBES = 30, 10, 3
"""Azure's network forgets a connection after 4 idle minutes. Source: Azure docs, "Outbound
connections", TCP keep-alives."""

_UNACKNOWLEDGED_MILLISECONDS = 15_000


def socket_options() -> list[tuple[int, int, int]]:
    """Options of every socket: no delay, and keep-alive probes by the names of this platform."""
    tcp = socket.IPPROTO_TCP
    options = [(tcp, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    named = {
        "TCP_KEEPIDLE": _PROBE_IDLE_SECONDS,  # Linux, Windows
        "TCP_KEEPALIVE": _PROBE_IDLE_SECONDS,  # macOS
        "TCP_KEEPINTVL": _PROBE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": _UNACKNOWLEDGED_MILLISECONDS,  # Linux: probes do not cover sent data
    }
    options += [
        (tcp, getattr(socket, name), value)
        for name, value in named.items()
        if hasattr(socket, name)
    ]
    return options


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Addresses of a host. The system's resolver knows no time-out, so a thread waits for it."""
    results: list[Any] = []
    errors: list[OSError] = []

    def ask() -> None:
        try:
            results.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            errors.append(error)
        except UnicodeError as error:
            errors.append(socket.gaierror(str(error)))

    thread = threading.Thread(target=ask, name="photo-sync-resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("the name was not resolved in time")
    return results


def connect(host: str, port: int) -> socket.socket:
    """A connected socket to the first address that answers.

    Each address gets half of what is left, so that a dead one does not use up the time of all.
    """
    it = current()
    budget = within(CONNECT_SECONDS)

    def left() -> float:
        seconds = min(budget(), it.left() if it else CONNECT_SECONDS)
        if seconds <= 0:
            raise TimeoutError("not connected in time")
        return seconds

    addresses = _resolve(host, port, left())
    failure: OSError = OSError("no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        raw = socket.socket(family, kind, protocol)
        try:
            for option in socket_options():
                raw.setsockopt(*option)
            raw.settimeout(left() if number == len(addresses) else left() / 2)
            raw.connect(address)
            raw.settimeout(left())  # that of a TLS handshake as a whole
            return raw
        except OSError as error:
            failure = error
            raw.close()
    raise failure
