"""Can the app do its work here? Each check says what is wrong and how to correct it."""

from shared.checks.check import NAMES, Check
from shared.checks.overviews import overview

__all__ = ["NAMES", "Check", "overview"]
