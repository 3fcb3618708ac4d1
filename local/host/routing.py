"""Routes of HTTP functions, as ASP.NET Core matches them, and settings in bindings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.host.authorization import Level
from local.host.function_json import Function

_SETTING = re.compile(r"%([^%]+)%")
_VARIABLE = re.compile(r"\{(\*?)(\w+)(\??)\}")


class RouteMalformed(ValueError):
    """A route that ends the whole host: it answers 503 to everything."""


@dataclass(frozen=True)
class Route:
    """Where one HTTP function answers.

    Attributes:
        function: the function's name.
        methods: upper case; empty means all.
        level: what a caller must have proven.
        pattern: matches a decoded path, one group for each route variable.
    """

    function: str
    methods: frozenset[str]
    level: Level
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, function: Function, values: Mapping[str, Any], prefix: str) -> "Route":
        """Read an httpTrigger whose `%SETTING%`s are resolved.

        Raises:
            RouteMalformed: a leading slash, or a brace without its other half.
            ValueError: the route uses a part of ASP.NET's syntax that is not supported here.
        """
        template = str(values.get("route") or function.name)
        if template.startswith("/") or template.count("{") != template.count("}"):
            raise RouteMalformed(f"the route {template!r} is malformed")
        pattern = ""
        for part in "/".join(filter(None, (prefix, template))).strip("/").split("/"):
            variable = _VARIABLE.fullmatch(part)
            if variable is None and "{" in part:
                raise ValueError(f"route part {part!r} is not supported by the local host")
            if variable is None:
                pattern += "/" + re.escape(part)
            elif variable[1]:
                pattern += f"(?:/(?P<{variable[2]}>[^/].*)?)?"
            else:
                pattern += f"(?:/(?P<{variable[2]}>[^/]+)){variable[3]}"
        end = "" if "{*" in template else "/?"
        return cls(
            function=function.name,
            methods=frozenset(str(method).upper() for method in values.get("methods") or ()),
            level=Level.named(values.get("authLevel", "function")),
            # ASCII: .NET compares by ordinals, Python would take U+017F for an s.
            pattern=re.compile(pattern + end, re.IGNORECASE | re.ASCII | re.DOTALL),
        )

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Route variables of a request, or None when it is not for this function."""
        found = self.pattern.fullmatch(path)
        if found is None or (self.methods and method not in self.methods):
            return None
        return {name: value for name, value in found.groupdict().items() if value}


def resolve_settings(properties: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Replace `%NAME%` in the texts of a binding by the application setting.

    Raises:
        ValueError: the setting is missing or empty, in the host's own words.
    """

    def value(match: re.Match[str]) -> str:
        if not settings.get(match[1]):
            raise ValueError(f"'{match[0]}' does not resolve to a value.")
        return settings[match[1]]

    return {
        key: _SETTING.sub(value, text) if isinstance(text, str) else text
        for key, text in properties.items()
    }
