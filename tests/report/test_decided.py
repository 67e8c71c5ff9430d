"""What people decided is counted in the report, and stands beside the captions."""

from framescribe import Dataset, Decisions
from tests.dataset.test_row_file import row
from tests.dataset.test_store import write
from tests.report.pages import Document


def report(folder, target) -> Document:
    Dataset(folder).report(target)
    return Document(target.read_text())


def test_decisions_are_counted_and_stand_beside_their_captions(tmp_path):
    folder = str(tmp_path / "out")
    write(folder, *(row(number, clip_id=f"c{number}", caption=f"Kite {number}.") for number in range(6)))
    assert "Decisions" not in report(folder, tmp_path / "before.html").text
    decisions = Decisions(folder, "ann")
    decisions.accept(["c0", "c1"])
    decisions.reject("c2", reason="no <b>kite</b>")
    decisions.reject("c3")
    decisions.edit("c1", "A red kite, as ann writes it.")
    decisions.tag(["c1", "c4"], "slow")
    write(folder, row(3, clip_id="c3", caption="Captioned anew."))
    page = report(folder, tmp_path / "after.html")
    text = " ".join(page.text.split())
    assert "Decisions accepted 2" in text
    for said in (
        "rejected 1",
        "stale 1",
        "edited 1",
        "Reasons of rejections no <b>kite</b> 1",
        "Tags slow 2",
    ):
        assert said in text
    assert "Kite 1. Edited: A red kite, as ann writes it." in text
    tones = [attributes.get("class", "") for tag, attributes in page.elements if tag == "span"]
    assert {"tag accept", "tag reject", "tag stale"} <= set(tones)


def test_columns_of_anyones_are_no_decisions(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"clip_id": "a", "source_video": "a.mp4", "caption": "A kite.", "caption_status": "success", "tags": "x", '
        '"decision": 3, "decision_reason": [], "edited_caption": {}, "decision_is_stale": "so"}\n'
    )
    assert "Decisions" not in report(file, tmp_path / "page.html").text
