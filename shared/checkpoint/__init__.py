"""What is remembered in blob storage: users' records, runs, the lease that makes a run single."""

from shared.checkpoint.documents import iso, seconds_of
from shared.checkpoint.lease import Lease
from shared.checkpoint.lease import seconds as lease_seconds
from shared.checkpoint.records import Failing, Missing, Photo, Record
from shared.checkpoint.run_blobs import RunBlobs, close_run, read_users
from shared.checkpoint.runs import (
    CLEARING,
    COMPLETED,
    DONE,
    DRY_RUN,
    INTERRUPTED,
    LISTING,
    RUNNING,
    STOPPED,
    SYNC,
    USERS,
    Run,
    next_run,
)
from shared.checkpoint.storage import Storage
from shared.checkpoint.store import SHARDS, Checkpoint, Shard, shard_of

__all__ = [
    "CLEARING",
    "COMPLETED",
    "DONE",
    "DRY_RUN",
    "INTERRUPTED",
    "LISTING",
    "RUNNING",
    "SHARDS",
    "STOPPED",
    "SYNC",
    "USERS",
    "Checkpoint",
    "Failing",
    "Lease",
    "Missing",
    "Photo",
    "Record",
    "Run",
    "RunBlobs",
    "Shard",
    "Storage",
    "close_run",
    "iso",
    "lease_seconds",
    "next_run",
    "read_users",
    "seconds_of",
    "shard_of",
]
