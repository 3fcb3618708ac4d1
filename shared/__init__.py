"""Core of Photo Sync: everything the two functions share.

Imports go one way: functions -> app -> nightly, ondemand -> sync -> (graph, sharepoint,
thumbnails, checkpoint) -> transport -> identity. See docs/architecture.md.
"""

__version__ = "1.0.0"
