"""Write the pages that are generated from the code, or (``--check``) fail when one differs. Run by ``make docs``.

The messages' schemas and examples are written by ``tagline contracts export`` and checked by ``tagline contracts check``.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from worker.settings_docs import settings_docs
from worker.telemetry.metrics import metrics_docs

PROJECT = Path(__file__).resolve().parent.parent
PAGES: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_docs,
    "docs/metrics.md": metrics_docs,
}
"""Page to the function that returns its whole text."""


def main(check: bool) -> int:
    """Write or compare every page; returns the exit code."""
    stale = 0
    for name, text in PAGES.items():
        page = PROJECT / name
        current = page.read_text("utf-8") if page.exists() else None
        if current == text():
            print(f"same     {name}")
        elif check:
            stale += 1
            print(f"differs  {name}")
        else:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text(), "utf-8")
            print(f"written  {name}")
    if stale:
        print("hint: `make docs` writes them; commit them with the change", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
