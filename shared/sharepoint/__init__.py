"""SharePoint Online: profiles, and the thumbnails in the User Photos library.

`SharePoint` is what the program asks; a dry run asks `ReadOnlySharePoint`. The other names serve
checks and questions to a tenant.
"""

from shared.sharepoint.batch import MAX_PARTS
from shared.sharepoint.client import ReadOnlySharePoint, SharePoint
from shared.sharepoint.csom import PATH as PROCESS_QUERY
from shared.sharepoint.csom import check as check_query
from shared.sharepoint.csom import set_properties
from shared.sharepoint.error_codes import wants_digest
from shared.sharepoint.folders import FolderCache
from shared.sharepoint.hosts import Hosts
from shared.sharepoint.locations import DEFAULT_FOLDER, read_picture_url
from shared.sharepoint.photo_library import file_url, files_of, upload_url
from shared.sharepoint.profiles import (
    SHOW_PLACEHOLDER,
    Profile,
    account_name,
    parse,
    read_url,
    stored,
    timestamp,
    write_url,
)
from shared.sharepoint.site import JSON, Site

__all__ = [
    "DEFAULT_FOLDER",
    "JSON",
    "MAX_PARTS",
    "PROCESS_QUERY",
    "SHOW_PLACEHOLDER",
    "FolderCache",
    "Hosts",
    "Profile",
    "ReadOnlySharePoint",
    "SharePoint",
    "Site",
    "account_name",
    "check_query",
    "file_url",
    "files_of",
    "parse",
    "read_picture_url",
    "read_url",
    "set_properties",
    "stored",
    "timestamp",
    "upload_url",
    "wants_digest",
    "write_url",
]
