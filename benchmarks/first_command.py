"""README's first command on a fresh checkout: how long until eight captions, and are they right?

    python -m benchmarks.first_command --json benchmarks/results/first_command.json

Clones this checkout's HEAD to a temporary folder and runs the first command of its README there as it stands, but with
no cache of pip's. ``seconds`` is all of it, mostly the download: of whatever wheels pip is set up to find, so see which
torch ``versions`` names. ``caption_s`` is what ``framescribe caption`` says at its end: all clips, after the model is
loaded. A caption is right where it tells the facts of the sentence in ``examples/README.md``. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.synthetic.captions import parse

ROOT = Path(__file__).parents[1]
VERSIONS = "import json; from framescribe.bench.provenance import versions; print(json.dumps(versions()))"


def first_command(readme: str) -> str:
    """The first fenced block of a Markdown text."""
    block = re.search(r"^```\w*\n(.+?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1]


def sentences(readme: str) -> dict[str, str]:
    """What the world says of each clip, by file name."""
    return dict(re.findall(r"^\| `(\S+\.mp4)` \| (.+) \|$", readme, re.MULTILINE))


def measure(checkout: Path) -> dict[str, Any]:
    command = first_command((checkout / "README.md").read_text(encoding="utf-8"))
    shown = sentences((checkout / "examples" / "README.md").read_text(encoding="utf-8"))
    started = time.monotonic()
    # The one line that has to be a shell's: as a reader would type it.
    done = subprocess.run(
        command,
        shell=True,
        cwd=checkout,
        env=os.environ | {"PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    summary = re.search(r"^(\d+) clips in ([\d.]+) s", done.stderr, re.MULTILINE)
    if done.returncode or summary is None:
        raise SystemExit(f"{command}\nended with {done.returncode}\n{done.stderr}")
    said = {Path(path).name: text for path, text in (line.split("\t") for line in done.stdout.splitlines())}
    assert sorted(said) == sorted(shown), said
    versions = subprocess.check_output([checkout / ".venv/bin/python", "-c", VERSIONS], text=True)
    return {
        "command": command,
        "seconds": round(seconds, 1),
        "clips": int(summary[1]),
        "caption_s": float(summary[2]),
        "caption_s_per_clip": round(float(summary[2]) / int(summary[1]), 3),
        "right": sum(parse(said[name]) == parse(shown[name]) for name in shown),
        "captions": {
            name: {"caption": said[name], "right": parse(said[name]) == parse(shown[name])} for name in shown
        },
        "versions": json.loads(versions),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "framescribe"
        subprocess.run(["git", "clone", "-q", ROOT, checkout], check=True)
        # Not this interpreter's versions but those of the environment that the command made.
        result = made_by | measure(checkout)
    publish(result, arguments.json)


if __name__ == "__main__":
    main()
