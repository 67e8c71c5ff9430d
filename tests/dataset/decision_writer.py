"""A process that decides until it is killed, and says what is on the disk: ``NAME START FOLDER``."""

import sys

from framescribe.dataset.decision_log import DecisionLog
from framescribe.dataset.folder import Folder
from framescribe.decision_row import DecisionRow


def entry(name: str, clip: str = "c", action="accept", **more) -> DecisionRow:
    """The entry ``group.number``."""
    group, _, number = name.partition(".")
    return DecisionRow(
        entry_id=f"{group}.{number or 0}", group_id=group, clip_id=clip, action=action,
        **{"caption_digest": "d", "reviewer": "ann", "decided_at": "2026-01-01T00:00:00+00:00"} | more,
    )  # fmt: skip


if __name__ == "__main__":
    name, start, folder = sys.argv[1:]
    log = DecisionLog(Folder(folder))
    for number in range(int(start), 100_000):
        group = f"{name}{number}"
        log.append([entry(f"{group}.0", "a"), entry(f"{group}.1", name, "tag", tags=(group,))])
        print(number, flush=True)
