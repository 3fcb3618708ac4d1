"""SP.Folder, SP.File, SP.FileVersion and SP.List as the REST service writes them."""

from datetime import UTC, datetime
from typing import Final

from local.tenant.sharepoint.library_items import Folder, StoredFile

PICTURE_LIBRARY: Final = 109  # SP.ListTemplateType
_CHECKED_OUT_ONLINE: Final = 0
_NOT_CHECKED_OUT: Final = 2
_UI_VERSION: Final = 512  # a major version counts so much in UIVersion


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def folder_entity(folder: Folder) -> dict[str, object]:
    """SP.Folder."""
    return {
        "Exists": True,
        "IsWOPIEnabled": False,
        "ItemCount": folder.item_count,
        "Name": folder.name,
        "ProgID": None,
        "ServerRelativeUrl": folder.path or "/",
        "TimeCreated": _time(folder.created),
        "TimeLastModified": _time(folder.created),
        "WelcomePage": "",
    }


def file_entity(stored: StoredFile) -> dict[str, object]:
    """SP.File; `Length` is a 64-bit number and therefore a string."""
    taken = _CHECKED_OUT_ONLINE if stored.checked_out_by else _NOT_CHECKED_OUT
    return {
        "CheckInComment": "",
        "CheckOutType": taken,
        "ContentTag": f"{{{stored.unique_id.upper()}}},{stored.major},{stored.major}",
        "ETag": f'"{{{stored.unique_id.upper()}}},{stored.major}"',
        "Exists": True,
        "IrmEnabled": False,
        "Length": str(len(stored.content)),
        "Level": 1,
        "LinkingUri": None,
        "LinkingUrl": "",
        "MajorVersion": stored.major,
        "MinorVersion": 0,
        "Name": stored.name,
        "ServerRelativeUrl": stored.path,
        "TimeCreated": _time(stored.created),
        "TimeLastModified": _time(stored.modified),
        "Title": None,
        "UIVersion": stored.major * _UI_VERSION,
        "UIVersionLabel": f"{stored.major}.0",
        "UniqueId": stored.unique_id,
    }


def version_entities(stored: StoredFile) -> list[dict[str, object]]:
    """SP.FileVersion of each earlier version, oldest first."""
    return [
        {
            "Created": _time(version.created),
            "ID": number * _UI_VERSION,
            "IsCurrentVersion": False,
            "Length": str(len(version.content)),
            "Size": len(version.content),
            "Url": f"_vti_history/{number * _UI_VERSION}{stored.path}",
            "VersionLabel": version.label,
        }
        for number, version in enumerate(stored.versions, start=1)
    ]


def list_entity(folder: Folder) -> dict[str, object]:
    """SP.List of the picture library."""
    return {
        "BaseTemplate": PICTURE_LIBRARY,
        "Hidden": False,
        "Id": "0f3a7c1e-7d0b-4f39-8a55-6a1c2f4b9e10",
        "ItemCount": folder.item_count,
        "Title": folder.name,
    }
