"""GUIDs as Entra ID writes them. Pure."""

import re

_GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_guid(text: str) -> bool:
    """Whether a text is a GUID in its usual form, hexadecimal 8-4-4-4-12."""
    return _GUID.fullmatch(text) is not None
