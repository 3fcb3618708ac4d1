"""How one setting is declared: everything about it stands in one place.

A setting is a field of the class `Settings`. `declare` gives the field its environment variable,
default, parser, accepted form and meaning. `read` follows the declarations, so that a new setting
needs no other code. Tests compare the documentation and the deployment template with them.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, overload

from shared.config.parsers import Hint

type Derived = Callable[[Mapping[str, Any]], str]
"""Makes a default from the values of the fields declared before."""

_METADATA = "setting"


@dataclass(frozen=True)
class Setting:
    """One application setting.

    Attributes:
        name: name of the environment variable.
        default: text used when the setting is absent or empty; None when there is none.
        accepted: what a value may look like.
        meaning: one sentence for the administrator.
        parse: returns the value of a text or raises ValueError.
        derive: makes the default when it follows from other settings.
        secret: an error never shows the text, because secrets are often pasted here.
        exact: the parser gets the text with the spaces around it, as the Functions host does.
    """

    name: str
    default: str | None
    accepted: str
    meaning: str
    parse: Callable[[str], Any] = dataclasses.field(repr=False)
    derive: Derived | None = dataclasses.field(repr=False)
    secret: bool = False
    exact: bool = False


@overload
def declare[T](
    name: str,
    parse: Callable[[str], T],
    *,
    default: str | Derived,
    accepted: str,
    meaning: str,
    secret: bool = ...,
    exact: bool = ...,
) -> T: ...


@overload
def declare[T](
    name: str,
    parse: Callable[[str], T],
    *,
    default: None = ...,
    accepted: str,
    meaning: str,
    secret: bool = ...,
    exact: bool = ...,
) -> T | None: ...


def declare[T](
    name: str,
    parse: Callable[[str], T],
    *,
    default: str | Derived | None = None,
    accepted: str,
    meaning: str,
    secret: bool = False,
    exact: bool = False,
) -> T | None:
    """Declare a field of `Settings` as an application setting.

    Args:
        name: name of the environment variable.
        parse: returns the value of a text or raises ValueError; `Hint` adds a remedy.
        default: text used when the setting is absent, or a function that makes this text from
            the fields declared before; None: the field is None.
        accepted: what a value may look like, for errors and documentation.
        meaning: one sentence for the administrator.
        secret: an error never shows the text.
        exact: the parser gets the text with the spaces around it.
    """
    text = default if isinstance(default, str) else None
    derive = None if isinstance(default, str) else default
    setting = Setting(name, text, accepted, meaning, parse, derive, secret, exact)
    # The dataclass decorator replaces this descriptor of a field by the field's value.
    return cast("T | None", dataclasses.field(metadata={_METADATA: setting}))


def declared(kind: type) -> dict[str, Setting]:
    """The settings that a dataclass declares, by the name of the field, in their order."""
    return {
        field.name: field.metadata[_METADATA]
        for field in dataclasses.fields(kind)
        if _METADATA in field.metadata
    }


def read(kind: type, environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """Read every declared setting; a wrong one gets its default, so that reading goes on.

    Args:
        kind: the dataclass with the declarations.
        environ: application settings; spaces around values do not count, empty means absent.
        problems: what is wrong is added here, one sentence for each setting.
    """
    values: dict[str, Any] = {}
    for field, setting in declared(kind).items():
        text = environ.get(setting.name, "")
        if text.strip():
            text = text if setting.exact else text.strip()
            try:
                values[field] = setting.parse(text)
                continue
            except ValueError as error:
                problems.append(_problem(setting, text, error))
        default = setting.derive(values) if setting.derive else setting.default
        values[field] = None if default is None else _parse_default(setting, default)
    return values


def _parse_default(setting: Setting, default: str) -> Any:
    try:
        return setting.parse(default)
    except ValueError:
        return None  # made from another value that is wrong, which is a problem already


def _problem(setting: Setting, text: str, error: ValueError) -> str:
    hint = f"; {error}" if isinstance(error, Hint) else ""
    return f"{setting.name}={_shown(setting, text)}: accepted: {setting.accepted}{hint}"


def _shown(setting: Setting, text: str) -> str:
    """What an error may show of a wrong value: people paste secrets into the wrong field."""
    if setting.secret:
        return "(not shown)"
    if setting.name.endswith("_URL") or "://" in text:
        text = re.sub(r"//.*@", "//...@", text).partition("?")[0]
    return repr(text[:80])
