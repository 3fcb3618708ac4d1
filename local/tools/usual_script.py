"""What administrators run today, for comparison: every photo of everybody, every night.

The steps are those of the published scripts: list the users, read each photo, upload three sizes,
set three profile properties with one call each. No state, so it never knows that nothing changed.
"""

import io
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import requests
from PIL import Image

from shared.app import App

_PROPERTIES = ("PictureURL", "SPS-PicturePlaceholderState", "SPS-PictureExchangeSyncState")
_SIDES = {"S": 48, "M": 72, "L": 200}


def run_script(app: App) -> int:
    """Synchronise everybody once, as the usual script does; returns the number of users."""
    settings, session = app.settings, requests.Session()

    def headers(origin: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {app.identity.token(origin)}",
            "Accept": "application/json;odata=nometadata",
        }

    graph = f"{settings.graph_url}/v1.0"
    url: str = f"{graph}/users?$select=id,userPrincipalName&$top=999"
    count = 0
    while url:
        page = session.get(url, headers=headers(settings.graph_url), timeout=60).json()
        for user in page["value"]:
            count += 1
            photo = session.get(
                f"{graph}/users/{user['id']}/photo/$value",
                headers=headers(settings.graph_url),
                timeout=60,
            )
            if photo.ok:
                _write(app, session, user["userPrincipalName"], photo.content, headers)
        url = str(page.get("@odata.nextLink") or "")
    return count


type _Headers = Callable[[str], dict[str, str]]


def _write(app: App, session: requests.Session, upn: str, data: bytes, headers: _Headers) -> None:
    settings = app.settings
    prefix = upn.replace("@", "_").replace(".", "_")
    folder = quote("/User Photos/Profile Pictures")
    for size, side in _SIDES.items():
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG")
        _send(
            session,
            f"{settings.mysite_url}/_api/web/GetFolderByServerRelativePath(decodedUrl='{folder}')"
            f"/Files/AddUsingPath(decodedUrl='{quote(prefix)}_{size}Thumb.jpg',overwrite=true)",
            headers(settings.mysite_url),
            buffer.getvalue(),
        )
    picture = f"{settings.mysite_url}{folder}/{quote(prefix)}_MThumb.jpg"
    for name, value in zip(_PROPERTIES, (picture, "0", "0"), strict=True):
        body: dict[str, str] = {
            "accountName": f"i:0#.f|membership|{upn}",
            "propertyName": name,
            "propertyValue": value,
        }
        url = (
            f"{settings.admin_url}/_api/SP.UserProfiles.PeopleManager/SetSingleValueProfileProperty"
        )
        _send(session, url, headers(settings.admin_url), body)


def _send(
    session: requests.Session, url: str, headers: dict[str, str], body: bytes | dict[str, str]
) -> None:
    """Send, and wait when throttled, as the better ones of the scripts do."""
    while True:
        data = body if isinstance(body, bytes) else json.dumps(body)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        answer = session.post(url, headers={**headers, "Content-Type": kind}, data=data, timeout=60)
        if answer.status_code != 429:  # noqa: PLR2004 - Too Many Requests
            answer.raise_for_status()
            return
        time.sleep(float(answer.headers.get("Retry-After", "5")))
