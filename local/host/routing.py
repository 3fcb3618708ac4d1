"""Routes, keys and query values, as the Functions host and ASP.NET Core treat them."""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from local.host.function_json import Function

_SETTING = re.compile(r"%([^%]+)%")
_VARIABLE = re.compile(r"\{(\*?)(\w+)(\??)\}")


@dataclass(frozen=True)
class Keys:
    """The two keys callers use.

    Attributes:
        function: opens functions with auth level `function`.
        master: opens everything, and the admin endpoints.
    """

    function: str
    master: str

    @classmethod
    def generate(cls) -> "Keys":
        """Fresh random keys."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32))

    def allow(self, level: str, offered: str) -> bool:
        """Whether the offered key opens this auth level."""
        if level == "anonymous":
            return True
        accepted = [self.master] if level == "admin" else [self.master, self.function]
        return any(hmac.compare_digest(key.encode(), offered.encode()) for key in accepted)


@dataclass(frozen=True)
class Route:
    """Where one HTTP function answers.

    Attributes:
        function: the function's name.
        methods: upper case; empty means all.
        level: auth level, lower case.
        pattern: matches a decoded path, one group for each route variable.
    """

    function: str
    methods: frozenset[str]
    level: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, function: Function, values: Mapping[str, Any], prefix: str) -> "Route":
        """Read an httpTrigger whose `%SETTING%`s are resolved.

        Raises:
            ValueError: the route uses a part of ASP.NET's syntax that is not supported here.
        """
        template = "/".join(filter(None, (prefix, str(values.get("route") or function.name))))
        pattern = ""
        for part in template.strip("/").split("/"):
            variable = _VARIABLE.fullmatch(part)
            if variable is None and "{" in part:
                raise ValueError(f"route part {part!r} is not supported by the local host")
            if variable is None:
                pattern += "/" + re.escape(part)
            elif variable[1]:
                pattern += f"(?:/(?P<{variable[2]}>.*))?"
            else:
                pattern += f"(?:/(?P<{variable[2]}>[^/]+)){variable[3]}"
        return cls(
            function=function.name,
            methods=frozenset(str(method).upper() for method in values.get("methods") or ()),
            level=str(values.get("authLevel", "function")).lower(),
            pattern=re.compile(pattern + "/?", re.IGNORECASE),
        )

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Route variables of a request, or None when it is not for this function."""
        found = self.pattern.fullmatch(path)
        if found is None or (self.methods and method not in self.methods):
            return None
        return {name: value for name, value in found.groupdict().items() if value}


def query_values(text: str) -> dict[str, str]:
    """Read a query as functions see it: empty values dropped, repeated ones joined by a comma.

    Names are compared without case, the first spelling stays.
    """
    found: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=False):
        key = spelled.setdefault(name.lower(), name)
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def resolve_settings(properties: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Replace `%NAME%` in the texts of a binding by the application setting.

    Raises:
        ValueError: the setting is missing or empty; the host would refuse to index the function.
    """

    def value(match: re.Match[str]) -> str:
        if not settings.get(match[1]):
            raise ValueError(f"the setting {match[1]} is missing")
        return settings[match[1]]

    return {
        key: _SETTING.sub(value, text) if isinstance(text, str) else text
        for key, text in properties.items()
    }
