"""Finds a Chromium that is installed: for the tests of the pages, and for the demo's pictures.

Playwright drives it. No browser is ever downloaded: Debian and Ubuntu have a package, and Chrome
or Edge on a desk do as well.
"""

from __future__ import annotations  # local.setup runs under older Pythons, too

import os
import shutil
from pathlib import Path

HEADLESS = "chromium-headless-shell"
"""Chromium without a window: the same pages, and less work for the machine."""

NAMES = (
    HEADLESS,
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
)
ELSEWHERE = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"),
    Path("C:/Program Files/Google/Chrome/Application/chrome.exe"),
    Path("C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe"),
)


def find_browser() -> str | None:
    """Path of a browser, None when none is installed."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    return next((str(path) for path in ELSEWHERE if path.exists()), None)


def arguments() -> list[str]:
    """Command-line arguments: as root Chromium starts only without its sandbox."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--disable-dev-shm-usage", *(["--no-sandbox"] if root else [])]
