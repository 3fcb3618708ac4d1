"""Write the settings in docs/reference.md from their declarations: `python -m` this module.

The declarations in `shared/config/settings.py` are the only place where a setting is described;
a test compares the page with them.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from shared.config import SETTINGS, Setting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
BEGIN = "<!-- Settings: written by `python -m local.tools.settings_table`. -->\n"
END = "<!-- End of the settings. -->\n"
_SETTINGS = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)


def entry(setting: Setting) -> str:
    """One setting as the page shows it."""
    # In Markdown a bare < begins a tag, which would not be shown.
    meaning, accepted = (text.replace("<", r"\<") for text in (setting.meaning, setting.accepted))
    meaning = meaning[0].upper() + meaning[1:]
    default = f"`{setting.default}`" if setting.default else "none"
    if setting.derive:
        default = "from the settings named above"
    return f"### `{setting.name}`\n\n{meaning}.\n\n- Accepted: {accepted}\n- Default: {default}\n"


def with_settings(text: str, settings: Iterable[Setting] = SETTINGS) -> str:
    """The page with its settings written again.

    Raises:
        ValueError: the page has no such place, or more than one.
    """
    wanted = list(settings)
    index = " ·\n".join(f"[`{one.name}`](#{one.name.lower()})" for one in wanted)
    entries = "\n".join([BEGIN, f"{index}\n", *map(entry, wanted), END])
    replaced, count = _SETTINGS.subn(lambda _: entries, text)
    if count != 1:
        raise ValueError(f"{count} places for the settings instead of 1")
    return replaced


def main() -> int:
    """Rewrite the page."""
    PAGE.write_text(with_settings(PAGE.read_text("utf-8")), "utf-8")
    print(f"Written: {len(SETTINGS)} settings in {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
