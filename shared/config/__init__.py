"""Settings: what an administrator can change, checked before the first request."""

from shared.config.clouds import CLOUDS, Cloud
from shared.config.declaration import Setting
from shared.config.parsers import origin
from shared.config.removal_limit import RemovalLimit
from shared.config.schedule import Schedule
from shared.config.settings import (
    DEFAULT_FILTER,
    DEFAULT_SCHEDULE,
    FILTER_OF_VERSION_1,
    SETTINGS,
    Settings,
    load,
)
from shared.config.storage_connection import StorageConnection

__all__ = [
    "CLOUDS",
    "DEFAULT_FILTER",
    "DEFAULT_SCHEDULE",
    "FILTER_OF_VERSION_1",
    "SETTINGS",
    "Cloud",
    "RemovalLimit",
    "Schedule",
    "Setting",
    "Settings",
    "StorageConnection",
    "load",
    "origin",
]
