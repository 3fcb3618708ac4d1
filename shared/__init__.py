"""Photo Sync: keeps SharePoint Online profile photos equal to Exchange Online.

Imports go down only; `pyproject.toml` states the order and `make lint` holds to it.
"""

__version__ = "2.0.0"
