"""The machine API: HTTP in, HTTP out, without a framework."""

from shared.api.http import HttpAnswer, answer

__all__ = ["HttpAnswer", "answer"]
