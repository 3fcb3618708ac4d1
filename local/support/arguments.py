"""Command-line arguments that several entry points share."""

import argparse


def positive(text: str) -> int:
    """A whole number of at least 1, as `type` of an argument.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def port(text: str) -> int:
    """A port number, or 0 for any free one.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    if not text.isdecimal() or int(text) > 65_535:  # noqa: PLR2004 - TCP
        raise argparse.ArgumentTypeError(f"{text!r} is no port; accepted: 0 to 65535")
    return int(text)
