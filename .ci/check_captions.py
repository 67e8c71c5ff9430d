"""Checks the captions that README's first command prints against the facts that examples/README.md tells."""

import re
import sys
from pathlib import Path

from framescribe.synthetic.captions import parse

table = Path("examples/README.md").read_text(encoding="utf-8")
shown = dict(re.findall(r"^\| `(\S+\.mp4)` \| (.+) \|$", table, re.MULTILINE))
said = {
    Path(name).name: caption for name, _, caption in (line.rstrip("\n").partition("\t") for line in sys.stdin)
}
assert len(shown) == 8, sorted(shown)
assert said.keys() == shown.keys(), f"captioned {sorted(said)}, not {sorted(shown)}"
wrong = [name for name in shown if parse(said[name]) != parse(shown[name])]
assert not wrong, f"wrong captions: {wrong}"
print(f"{len(said)} captions are right")
