"""The tests of the manuals compare them with what the compiler says of the templates."""

from tests.infra.conftest import compiler

__all__ = ["compiler"]
