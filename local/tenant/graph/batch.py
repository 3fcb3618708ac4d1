"""The envelope of Microsoft Graph's JSON batches.

Source: Microsoft Graph docs "Combine multiple HTTP requests using JSON batching".
"""

import base64
import json
from typing import Any

from local.tenant.graph.answers import Answer, bad_request

LARGEST_BATCH = 20
_ITEM_KEYS = frozenset({"id", "method", "url", "headers", "body", "dependsOn"})


def read_items(body: bytes) -> list[dict[str, Any]]:
    """The items of a batch.

    Raises:
        GraphError: 400 for the whole envelope.
    """
    try:
        items = json.loads(body)["requests"]
    except (ValueError, TypeError, KeyError) as error:
        raise bad_request("Invalid batch payload format.") from error
    if not isinstance(items, list) or not items:
        raise bad_request("Invalid batch payload format.")
    if len(items) > LARGEST_BATCH:
        raise bad_request(f"Number of batch requests exceeds the limit of {LARGEST_BATCH}.")
    seen: set[str] = set()
    for item in items:
        _check(item)
        key = item["id"]
        if key.lower() in seen:
            raise bad_request(f"Duplicate request id '{key}'.")
        if any(needed.lower() not in seen for needed in item.get("dependsOn") or ()):
            raise bad_request(f"'{key}' depends on an unknown or later request.")
        seen.add(key.lower())
    return items


def _check(item: Any) -> None:
    if not isinstance(item, dict) or item.keys() - _ITEM_KEYS:
        raise bad_request("Invalid batch payload format.")
    for name in ("id", "method", "url"):
        if not isinstance(item.get(name), str) or not item[name]:
            raise bad_request(f"Every request of a batch needs '{name}', a string.")
    if "://" in item["url"].partition("?")[0]:
        raise bad_request("The URL of a batch item must be relative.")
    if item.get("body") is not None and not item.get("headers"):
        raise bad_request("A request with a body needs headers.")


def part(key: str, answer: Answer) -> dict[str, Any]:
    """An answer as an item of the envelope: bytes as base64, JSON as it is."""
    headers = {"Content-Type": "application/json"} | answer.headers
    body: object = answer.body
    if isinstance(body, bytes):
        body = base64.b64encode(body).decode()
    return {"id": key, "status": answer.status, "headers": headers, "body": body}
