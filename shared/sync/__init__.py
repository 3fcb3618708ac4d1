"""Keeps SharePoint's pictures equal to Exchange's: everybody at night, one user on demand."""

from shared.sync.nightly import fire
from shared.sync.on_demand import PATIENCE_SECONDS, SAVING_SECONDS, Known, known, sync_user
from shared.sync.user_sync import Result

__all__ = [
    "PATIENCE_SECONDS",
    "SAVING_SECONDS",
    "Known",
    "Result",
    "fire",
    "known",
    "sync_user",
]
