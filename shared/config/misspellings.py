"""Settings whose name is one letter off a known one: the app would ignore them silently."""

from collections.abc import Collection, Iterable


def misspellings(given: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """One sentence for each given name that is probably meant to be a known one.

    Args:
        given: names of environment variables.
        known: names of the settings.
    """
    by_length: dict[int, list[str]] = {}
    for name in known:
        by_length.setdefault(len(name), []).append(name)
    found = []
    for name in sorted(given):
        if name in known:
            continue
        near = (
            meant
            for length in (len(name), len(name) - 1, len(name) + 1)
            for meant in by_length.get(length, ())
            if _one_letter_off(name.upper(), meant)
        )
        if meant := next(near, None):
            found.append(
                f"{name}: the app does not know this setting and ignores it; it is probably a "
                f"misspelling of {meant}. Rename it, or delete it"
            )
    return tuple(found)


def _one_letter_off(name: str, meant: str) -> bool:
    """Whether two names differ only in case, in one letter, or in two swapped letters."""
    start = 0
    while start < min(len(name), len(meant)) and name[start] == meant[start]:
        start += 1
    rest, expected = name[start:], meant[start:]
    return (
        rest == expected
        or rest[1:] == expected[1:]
        or rest == expected[1:]
        or rest[1:] == expected
        or (rest[:2] == expected[:2][::-1] and rest[2:] == expected[2:])
    )
