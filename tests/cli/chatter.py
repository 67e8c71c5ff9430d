"""A run that says all that one can say while a bar is shown; for a terminal. Prints what must be readable, last."""

from __future__ import annotations

import logging
import threading
import time
import warnings

from framescribe.cli.console import err, set_up_logging
from framescribe.cli.terminal import Terminal
from tests.dataset.test_row_file import row

CAPTIONS = (
    "A cat sleeps on a sofa.",
    " ".join(f"word{number}" for number in range(60)),
    "一只猫坐在窗台上，看着外面的雨。雨水顺着玻璃流下来，" * 4,
    "A dog 🐕 runs after a ball ⚽ and a kite, " * 6,
)


def rows(count: int):
    for number in range(count):
        time.sleep(0.03)
        caption = f"({number}) {CAPTIONS[number % len(CAPTIONS)]}"
        yield row(source_video=f"/videos/{number}.mp4", caption=caption, output_tokens=30)


def warn() -> None:
    for number in range(12):
        time.sleep(0.05)
        logging.getLogger("framescribe").warning("log line %d " + "and more of it " * 8, number)
        warnings.warn(f"warning {number} from a library", stacklevel=1)
        print(f"printed {number}\n", end="")


def main() -> None:
    warnings.simplefilter("always")
    set_up_logging(False)
    talker = threading.Thread(target=warn)
    talker.start()
    terminal = Terminal(prints_captions=True)
    with terminal.captioning(30, lambda: 40):
        for each in rows(30):
            terminal.row(each)
    talker.join()
    err.print("the end")


if __name__ == "__main__":
    main()
