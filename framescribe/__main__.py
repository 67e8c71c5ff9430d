"""``python -m framescribe``."""

from framescribe.cli.main import main

main()
