"""Emulated Microsoft 365 tenant: Microsoft Graph, SharePoint, identity and login on loopback.

It behaves as documentation and public reports say, is strict where the real services are, records
every request on a tape and fails where a test wants it to.
"""

from local.tenant.directory import Directory, Person, Photo, PhotoError
from local.tenant.faults import Delivery, Fault, Faults
from local.tenant.latency import Latency
from local.tenant.quirks import Quirks, Quotas
from local.tenant.request_log import Entry, Tape
from local.tenant.tenant import Tenant

__all__ = [
    "Delivery",
    "Directory",
    "Entry",
    "Fault",
    "Faults",
    "Latency",
    "Person",
    "Photo",
    "PhotoError",
    "Quirks",
    "Quotas",
    "Tape",
    "Tenant",
]
