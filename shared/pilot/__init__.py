"""The pilot: ten questions about a tenant, asked with one user; only with PILOT=true."""

from shared.pilot.report import run

__all__ = ["run"]
