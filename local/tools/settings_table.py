"""Write the table of settings in docs/deploy.md from the declarations: `python -m` this module.

The declarations in `shared/config/settings.py` are the only place where a setting is described;
a test compares the page with them.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from shared.config import SETTINGS, Setting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"
HEADING = "| Setting | Default | Accepted | Meaning |\n|---|---|---|---|\n"
_TABLE = re.compile(re.escape(HEADING) + r"(?:\|.*\n)*")


def row(setting: Setting) -> str:
    """One row of the table, without the line's end."""
    default = f"`{setting.default}`" if setting.default else ""
    cells = [f"`{setting.name}`", default, setting.accepted, setting.meaning]
    return f"| {' | '.join(cell.replace('|', r'\|') for cell in cells)} |"


def with_table(text: str, settings: Iterable[Setting] = SETTINGS) -> str:
    """The page with its table made anew.

    Raises:
        ValueError: the page has no such table, or more than one.
    """
    table = HEADING + "".join(f"{row(setting)}\n" for setting in settings)
    replaced, count = _TABLE.subn(lambda _: table, text)
    if count != 1:
        raise ValueError(f"{count} tables of settings instead of 1")
    return replaced


def main() -> int:
    """Rewrite the page."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
    print(f"Written: table of {len(SETTINGS)} settings in {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
