"""OData `$filter` on users, as far as directory objects support it.

Sources: Microsoft Graph docs, "Use the $filter query parameter" and "Advanced query capabilities
on Microsoft Entra ID objects".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
Value = str | bool | int | None


class BadFilter(Exception):
    """The filter cannot be parsed, or the directory does not support it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter.

    Attributes:
        test: whether a user, given by its Graph properties, passes.
        advanced: needs `ConsistencyLevel: eventual` and `$count=true`.
        properties: names used in it.
    """

    test: Test
    advanced: bool
    properties: frozenset[str]


_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<number>-?\d+(?![\w-]))"
    r"|(?P<name>[A-Za-z_$][\w$]*(?:/[A-Za-z_$][\w$]*)*)"
    r"|(?P<sign>[():,]))"
)
#: Types of the properties that can be compared; `plain` needs no advanced query for eq and in.
_PLAIN = {
    "accountEnabled": "bool",
    "department": "string",
    "displayName": "string",
    "givenName": "string",
    "id": "string",
    "jobTitle": "string",
    "mail": "string",
    "onPremisesSyncEnabled": "bool",
    "surname": "string",
    "userPrincipalName": "string",
    "userType": "string",
}
_ADVANCED = {"companyName": "string", "officeLocation": "string", "employeeType": "string"} | {
    f"onPremisesExtensionAttributes/extensionAttribute{number}": "string" for number in range(1, 16)
}
_COLLECTIONS = {
    "assignedPlans": {"service": "string", "capabilityStatus": "string", "servicePlanId": "guid"},
    "assignedLicenses": {"skuId": "guid"},
}
_ENDS_WITH = frozenset({"mail", "userPrincipalName"})
_FIELDS = {name.lower(): name for name in (*_PLAIN, *_ADVANCED, *_COLLECTIONS)}


def parse(text: str) -> Filter:
    """Parse a decoded `$filter`.

    Raises:
        BadFilter: syntax, unknown property, unsupported operator, or wrong type of literal.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _split(text)
        self._at = 0
        self._advanced = False
        self._used: set[str] = set()

    def whole(self) -> Filter:
        test = self._either()
        if self._at < len(self._tokens):
            raise BadFilter(f"Syntax error at '{self._tokens[self._at][1]}'.")
        return Filter(test, self._advanced, frozenset(self._used))

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, sign: str) -> None:
        if self._next() != ("sign", sign):
            raise BadFilter(f"Syntax error: '{sign}' expected.")

    def _either(self, variable: str = "", kinds: Mapping[str, str] | None = None) -> Test:
        tests = [self._both(variable, kinds)]
        while self._peek() == ("name", "or"):
            self._next()
            tests.append(self._both(variable, kinds))
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self, variable: str, kinds: Mapping[str, str] | None) -> Test:
        tests = [self._single(variable, kinds)]
        while self._peek() == ("name", "and"):
            self._next()
            tests.append(self._single(variable, kinds))
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _single(self, variable: str, kinds: Mapping[str, str] | None) -> Test:
        kind, text = self._peek()
        if (kind, text) == ("sign", "("):
            self._next()
            inner = self._either(variable, kinds)
            self._expect(")")
            return inner
        if kind != "name":
            raise BadFilter(f"Syntax error at '{text}'.")
        self._next()
        if text == "not":
            self._advanced = True
            negated = self._single(variable, kinds)
            return lambda row: not negated(row)
        if text.lower() in ("startswith", "endswith"):
            return self._function(text.lower(), variable, kinds)
        if kinds is None and text.lower().endswith("/any"):
            return self._any(text[: -len("/any")])
        if kinds is None and text.endswith("/$count"):
            return self._count(text[: -len("/$count")])
        return self._comparison(*self._field(text, variable, kinds))

    def _field(
        self, path: str, variable: str, kinds: Mapping[str, str] | None
    ) -> tuple[str, str, bool]:
        """Property name, type, and whether comparing it is a plain query."""
        if kinds is not None:
            prefix, _, name = path.partition("/")
            if prefix != variable or name not in kinds:
                raise BadFilter(f"Could not find a property named '{path}'.")
            return name, kinds[name], True
        name = _FIELDS.get(path.lower(), "")
        if not name or name in _COLLECTIONS:
            raise BadFilter(f"Unsupported or invalid query filter clause for property '{path}'.")
        self._used.add(name.partition("/")[0])
        return name, _PLAIN.get(name) or _ADVANCED[name], name in _PLAIN

    def _comparison(self, name: str, kind: str, plain: bool) -> Test:  # noqa: FBT001 - private
        operator = self._next()[1]
        if operator == "in":
            self._expect("(")
            values = [self._literal(kind)]
            while self._peek() == ("sign", ","):
                self._next()
                values.append(self._literal(kind))
            self._expect(")")
        elif operator in ("eq", "ne"):
            values = [self._literal(kind)]
        else:
            raise BadFilter(f"Unsupported operator '{operator}' for property '{name}'.")
        self._advanced |= not plain or operator == "ne"
        wanted, equal = {_fold(value) for value in values}, operator != "ne"
        return lambda row: (_fold(row.get(name)) in wanted) is equal

    def _function(self, function: str, variable: str, kinds: Mapping[str, str] | None) -> Test:
        self._expect("(")
        kind, path = self._next()
        if kind != "name":
            raise BadFilter(f"A property is expected in {function}.")
        name, kind, plain = self._field(path, variable, kinds)
        self._expect(",")
        if kind != "string":
            raise BadFilter(f"{function} cannot be applied to property '{name}'.")
        part = str(self._literal("string")).lower()
        self._expect(")")
        if function == "endswith":
            if name not in _ENDS_WITH:
                raise BadFilter(f"Operator 'endsWith' is not supported for property '{name}'.")
            self._advanced = True
            return lambda row: str(row.get(name) or "").lower().endswith(part)
        self._advanced |= not plain
        return lambda row: str(row.get(name) or "").lower().startswith(part)

    def _any(self, collection: str) -> Test:
        name, kinds = self._collection(collection)
        # The licence collection is indexed, the plans are not.
        self._advanced |= name == "assignedPlans"
        self._expect("(")
        kind, variable = self._next()
        if kind != "name":
            raise BadFilter("A range variable is expected in any().")
        self._expect(":")
        inner = self._either(variable, kinds)
        self._expect(")")
        return lambda row: any(inner(item) for item in row.get(name) or ())

    def _count(self, collection: str) -> Test:
        name, _ = self._collection(collection)
        operator, (kind, number) = self._next()[1], self._next()
        if operator not in ("eq", "ne") or (kind, number) != ("number", "0"):
            raise BadFilter("$count can be compared with eq 0 and ne 0 only.")
        self._advanced = True
        return lambda row: (not row.get(name)) is (operator == "eq")

    def _collection(self, path: str) -> tuple[str, Mapping[str, str]]:
        name = _FIELDS.get(path.lower(), "")
        if name not in _COLLECTIONS:
            raise BadFilter(f"Could not find a collection named '{path}'.")
        self._used.add(name)
        return name, _COLLECTIONS[name]

    def _literal(self, kind: str) -> Value:
        found, text = self._next()
        if (found, text) == ("name", "null"):
            return None
        if kind == "bool" and text in ("true", "false"):
            return text == "true"
        if kind == "string" and found == "string":
            return text[1:-1].replace("''", "'")
        if kind == "guid" and found == "guid":
            return text
        raise BadFilter("A binary operator with incompatible types was detected.")


def _split(text: str) -> list[tuple[str, str]]:
    tokens, at = list[tuple[str, str]](), 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadFilter(f"Syntax error at position {at} in '{text}'.")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _fold(value: object) -> object:
    """The directory compares strings without case."""
    return value.lower() if isinstance(value, str) else value
