"""Every benchmark and every result is in their table, and the table names no other."""

import re

from tests.reference import ROOT

BENCHMARKS = ROOT / "benchmarks"


def test_the_table_of_benchmarks_is_whole():
    named = re.findall(r"`(\w+(?:\.py|\.json|/))`", (BENCHMARKS / "README.md").read_text(encoding="utf-8"))
    there = [path.name for path in (*BENCHMARKS.glob("*.py"), *BENCHMARKS.glob("results/*"))]
    there += [f"{path.parent.name}/" for path in BENCHMARKS.glob("*/__main__.py")]
    assert sorted(set(named)) == sorted(there)
