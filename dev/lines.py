"""Counts lines of code by room of the package: no blank lines, no comments, no docstrings.

python -m dev.lines
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "framescribe"
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(text: str) -> int:
    """The lines of a Python file that hold code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {
        line for each in tokens if each.type not in _NO_CODE for line in range(each.start[0], each.end[0] + 1)
    }
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def main() -> None:
    """Prints each room's lines, and their sum."""
    rooms: Counter[str] = Counter()
    for path in sorted(PACKAGE.rglob("*.py")):
        first, *more = path.relative_to(PACKAGE).parts
        rooms[f"{first}/" if more else "files of their own"] += code_lines(path.read_text(encoding="utf-8"))
    for room, lines in rooms.items():
        print(f"{room:20} {lines:6,}")
    print(f"{'all':20} {rooms.total():6,}")
    print(f"{'without synthetic/ and bench/':20} {rooms.total() - rooms['synthetic/'] - rooms['bench/']:6,}")


if __name__ == "__main__":
    main()
