"""Microsoft Graph: users, versions of their photos, bytes.

`Graph` sends the requests; the other names are its results.
"""

from shared.graph.client import PHOTO_LIMIT_BYTES, Graph
from shared.graph.directory import Directory, Person
from shared.graph.json_batch import BATCH_SIZE
from shared.graph.listing import Page
from shared.graph.photo_versions import NoPhoto, Seen, Unknown, Version

__all__ = [
    "BATCH_SIZE",
    "PHOTO_LIMIT_BYTES",
    "Directory",
    "Graph",
    "NoPhoto",
    "Page",
    "Person",
    "Seen",
    "Unknown",
    "Version",
]
