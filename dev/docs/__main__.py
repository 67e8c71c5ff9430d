"""``python -m dev.docs`` writes generated pages; with ``strip``, ``report``, ``review``, ``scores`` pictures too."""

import sys
from pathlib import Path

from dev.docs import columns, commands, profiles, scores, trainers

ROOT = Path(__file__).parents[2]
PAGES = {
    "docs/commands.md": commands.page,
    "docs/columns.md": columns.page,
    "docs/scores.md": scores.page,
    "docs/trainers.md": trainers.page,
    "docs/profiles.md": profiles.page,
}

if __name__ == "__main__":
    if sys.argv[1:] == ["strip"]:
        from dev.docs.strip import write_strip

        write_strip(ROOT / "docs" / "strip.png")
    if sys.argv[1:] == ["report"]:
        from dev.docs.report import write_picture

        write_picture(ROOT, ROOT / "docs" / "report.png")
    if sys.argv[1:] == ["review"]:
        from dev.docs.review import write_pictures

        write_pictures(ROOT, ROOT / "docs")
    if sys.argv[1:] == ["scores"]:
        from dev.docs.score_examples import write_examples

        write_examples(ROOT / "docs" / "scores")
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
