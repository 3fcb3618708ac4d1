"""Can the app do its work here? Each check says what is wrong and how to correct it."""

from shared.checks.check import Check
from shared.checks.overviews import overview

__all__ = ["Check", "overview"]
