"""What a caller asks for: the user's name and the options of the query, checked."""

from http import HTTPStatus
from urllib.parse import parse_qsl

from shared.model import is_object_id
from shared.problem import Problem

_KEY_PARAMETERS = frozenset({"code", "clientid"})
"""How callers may send the function key in the query; checked and used by the host."""

_LONGEST_NAME = 256
_LONGEST_SHOWN = 80
_NOT_IN_NAMES = frozenset('/\\?"<>|:*;,()[]')
_SWITCH = {"true": True, "1": True, "false": False, "0": False}


def user_name(text: str) -> str:
    """An object id or user principal name.

    Raises:
        Problem: anything else; no request has left by then.
    """
    if not is_object_id(text) and not _is_principal_name(text):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad-user",
            f"{text[:_LONGEST_SHOWN]!r} is neither a user principal name such as "
            "adele@contoso.com nor an Entra object id such as "
            "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0. Percent-encode the user in the URL",
        )
    return text


def _is_principal_name(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        0 < len(local) <= len(text) <= _LONGEST_NAME
        and all(c.isprintable() and not c.isspace() and c not in _NOT_IN_NAMES for c in text)
        and "@" not in local
        and len(labels) > 1
        and all(label.replace("-", "").isalnum() for label in labels)
    )


def switches(url: str, *, allowed: tuple[str, ...]) -> dict[str, bool]:
    """The options in the query of a URL.

    Args:
        url: of the request; the host drops empty values elsewhere.
        allowed: names of the options that this call takes.

    Raises:
        Problem: an option is unknown, repeated or has another value than true, false, 1 or 0. A
            misspelled one must not turn a dry run into a real one.
    """
    found: dict[str, bool] = {}
    for name, text in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name.lower() in _KEY_PARAMETERS:
            continue
        if name not in allowed or name in found:
            known = " and ".join(allowed) or "none"
            twice = " twice" if name in found else ""
            raise _bad_query(
                f"query parameter {name[:40]!r} is not accepted{twice} here; accepted: {known}"
            )
        value = _SWITCH.get(text.lower())
        if value is None:
            raise _bad_query(
                f"query parameter {name} must be true, false, 1 or 0, not {text[:40]!r}"
            )
        found[name] = value
    return found


def _bad_query(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "bad-query", detail)
