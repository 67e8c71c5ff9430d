"""Teaching: the optimum by another method, honest numbers, labels of every form, and what cannot be used is said."""

import json

import numpy as np
import pytest
import torch

from framescribe import Dataset, UsageError, apply_heads, similar, teach
from framescribe.heads.head import Head
from framescribe.heads.labels import read_labels
from framescribe.heads.logistic import _auc, _minimize, fit, judge
from tests.cli.run import invoke
from tests.heads.sets import feature_row, planted, write_features


@pytest.fixture
def folder(tmp_path):
    x, has_it = planted(200)
    rows = [feature_row(f"c{number}", vector) for number, vector in enumerate(x)]
    return write_features(tmp_path / "set", rows), has_it


def labels_of(has_it, clips=range(200)) -> dict:
    return {f"c{number}": {"Planted Kind": bool(has_it[number])} for number in clips}


def test_the_optimum_is_that_of_another_method():
    x, has_it = planted(80, size=6)
    x, y = torch.tensor(x).double(), torch.tensor(has_it).double()
    parameters = torch.zeros(7, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [parameters], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        logits = x @ parameters[:-1] + parameters[-1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
        (loss + 0.05 * parameters[:-1].square().sum()).backward()
        return loss + 0.05 * parameters[:-1].square().sum()

    optimizer.step(closure)
    weight, bias = _minimize(x.numpy(), y.numpy(), 0.1)
    assert np.append(weight, bias) == pytest.approx(parameters.detach().numpy(), abs=1e-4)


def test_auc_counts_pairs():
    draw = np.random.default_rng(0)
    score, has_it = draw.integers(0, 6, 60).astype(float), draw.random(60) < 0.3
    pairs = [(a > b) + 0.5 * (a == b) for a in score[has_it] for b in score[~has_it]]
    assert _auc(score, has_it) == pytest.approx(np.mean(pairs))


def test_held_out_numbers_are_those_of_other_clips():
    """What cross-validation says of 300 clips, 3,000 others say too; of noise it says one half."""
    x, has_it = planted(3300)
    fitted = fit(x[:300], has_it[:300])
    logits = x[300:].astype(float) @ fitted.weight_D + fitted.bias
    others = judge(1 / (1 + np.exp(-logits)), has_it[300:])
    assert others.auc == pytest.approx(fitted.held_out.auc, abs=0.03)
    assert others.calibration_error < 0.04
    noise = fit(x[:300], np.random.default_rng(1).random(300) < 0.5)
    assert 0.35 < noise.held_out.auc < 0.65


def test_what_a_short_part_tells_does_not_drown_in_the_others():
    """Parts of noise beside one that tells: a penalty for all would shrink what tells with what does not."""
    draw = np.random.default_rng(3)
    x, has_it = planted(1300, size=20)
    whole = np.concatenate(
        [*(draw.normal(size=(1300, 300)).astype(np.float32) for _ in range(3)), *[x] * 15], axis=1
    )
    whole[:, 920:] *= 0  # as parts are filled up
    auc = {}
    for ends in ((), (300, 600, 900)):
        parts = len(ends) + 1
        fitted = fit(whole[:300], has_it[:300], ends)
        auc[parts] = _auc(whole[300:].astype(float) @ fitted.weight_D + fitted.bias, has_it[300:])
        assert auc[parts] == pytest.approx(fitted.held_out.auc, abs=0.05)
    assert auc[4] > max(0.9, auc[1] + 0.02)


def test_a_hidden_layer_learns_what_no_line_tells(tmp_path):
    """Clips on one side of a line and of its opposite; the file gives the probabilities that were held out."""
    x = np.pad(np.random.default_rng(5).normal(3, 1, (900, 4)), ((0, 0), (0, 36))).astype("<f2")
    has_it = np.abs(x[:, 0].astype(float) - 3) > 0.7
    features = write_features(tmp_path / "set", [feature_row(f"c{n}", each) for n, each in enumerate(x)])
    heads = {}
    for hidden in (0, 6):
        path = tmp_path / f"by_{hidden}.safetensors"
        teach(labels_of(has_it, range(300)), path, features=features, hidden=hidden)
        heads[hidden] = Head.load(path)
        held_out = heads[hidden].card["labels"]["planted_kind"]
        others = judge(heads[hidden].probabilities(x[300:])[:, 0], has_it[300:])
        assert others.auc == pytest.approx(held_out["auc"], abs=0.1)
        assert others.auc > 0.9 and others.calibration_error < 0.1 if hidden else others.auc < 0.65
    assert heads[6].hidden_KHD.shape == (1, 6, 40)
    assert apply_heads(features, heads[6]) == 900
    for hidden in (-1, 257, 1.5, 2.0, True, "16"):
        with pytest.raises(UsageError, match=f"`hidden` must be from 0 to 256, not {hidden!r}"):
            teach(labels_of(has_it), tmp_path / "head.safetensors", features=features, hidden=hidden)


def test_a_head_is_taught_saved_and_applied(folder, tmp_path):
    features, has_it = folder
    lesson = teach(labels_of(has_it), tmp_path / "Kinds.safetensors", features=features)
    assert lesson.notes == ()
    head = Head.load(tmp_path / "Kinds.safetensors")
    assert (head.name, head.labels) == ("kinds", ("planted_kind",))
    assert head.card == lesson.head.card
    assert head.card["labels"]["planted_kind"]["positives"] == has_it.sum()
    assert apply_heads(features, head) == 200
    scores = {row["clip_id"]: row["planted_kind"] for row in Dataset.scored(features)}
    in_order = np.array([scores[f"c{number}"] for number in range(200)])
    assert judge(in_order, has_it).auc > 0.9
    vectors = planted(200)[0].astype("<f2")
    assert in_order == pytest.approx(head.probabilities(vectors)[:, 0])


def test_what_cannot_be_used_is_said_and_the_rest_goes_on(folder, tmp_path):
    features, has_it = folder
    labels = labels_of(has_it) | {"elsewhere": {"planted kind": True}}
    labels["c0"]["planted-kind"] = not has_it[0]
    labels["c1"]["rare"] = True
    lesson = teach(labels, tmp_path / "head.safetensors", features=features)
    assert list(lesson.head.card["labels"]) == ["planted_kind"]
    counted = lesson.head.card["labels"]["planted_kind"]
    assert counted["positives"] + counted["negatives"] == 199
    for words in (
        "1 labelled clips have no features: elsewhere",
        "contradict each other",
        "rare is left out",
    ):
        assert any(words in note for note in lesson.notes), words
    with pytest.raises(UsageError, match="no label can be taught; planted_kind is left out: it takes 10"):
        teach(labels_of(has_it, range(12)), tmp_path / "head.safetensors", features=features)


def test_labels_of_clips_without_features_teach_nothing(folder, tmp_path):
    features, _ = folder
    for labels in ({"elsewhere": ["lecture"]}, {}, {"c0": {}}):
        with pytest.raises(UsageError, match="no label can be taught"):
            teach(labels, tmp_path / "head.safetensors", features=features)


def test_labels_that_cannot_name_a_score_are_left_out(folder, tmp_path):
    features, has_it = folder
    labels = labels_of(has_it)
    for number in range(200):
        labels[f"c{number}"] |= dict.fromkeys(("讲座", "motion", "Duplicate number"), bool(has_it[number]))
    lesson = teach(labels, tmp_path / "head.safetensors", features=features)
    assert lesson.head.labels == ("planted_kind",)
    for words in (
        "讲座 is left out: '讲座' is no name",
        "motion is left out: the label motion is a column or a score already",
        "duplicate_number is left out",
    ):
        assert any(words in note for note in lesson.notes), words


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"c0": "lecture"}, "the labels of 'c0' are 'lecture'"),
        ({"c0": 1}, "the labels of 'c0' are 1"),
        (None, "labels are a file, a folder, or a mapping by clip, not None"),
        ([], "labels are a file, a folder, or a mapping"),
    ],
)
def test_labels_of_other_types_are_refused(labels, reason):
    with pytest.raises(UsageError, match=reason):
        read_labels(labels)


def test_where_a_head_goes_is_checked_before_anything_is_read(tmp_path):
    for name, reason in (
        ("no/head.safetensors", "which is no folder"),
        ("讲座.safetensors", "'' is no name"),
    ):
        with pytest.raises(UsageError, match=reason):
            teach(tmp_path / "labels.csv", tmp_path / name, features=tmp_path)


@pytest.mark.parametrize("hidden", [0, 2])
def test_progress_counts_each_step_once(folder, tmp_path, hidden):
    features, has_it = folder
    labels = {f"c{n}": {"one": bool(has_it[n]), "other": not has_it[n]} for n in range(60)}
    told = []
    teach(
        labels,
        tmp_path / "head.safetensors",
        features=features,
        hidden=hidden,
        progress=lambda *each: told.append(each),
    )
    total = told[-1][0]
    assert told == [(done, total) for done in range(1, total + 1)]
    assert total == 2 if not hidden else total > 100


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "clip_id,tags\nx,Lecture;text\ny,\nz,text\n"),
        ("a.csv", "clip_id,lecture,Text\nx,1,yes\ny,0,no\nz,false,TRUE\n"),
        ("a.csv", "file,lecture,text\nx,1,1\ny,0,0\nz,,1\nz,0,\n"),
        ("a.jsonl", '{"source_video": "x", "labels": ["lecture", "text"]}\n{"source_video": "y"}\n'
                    '{"source_video": "z", "labels": "text"}\n'),
    ],
)  # fmt: skip
def test_labels_of_every_form(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    assert read_labels(tmp_path / name).by_clip == {
        "x": {"lecture": True, "text": True},
        "y": {"lecture": False, "text": False},
        "z": {"lecture": False, "text": True},
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("lecture\n1\n", "names no clips"),
        ("clip_id,lecture\nx,maybe\n", "line 2: lecture is 'maybe', not 1 or 0"),
        ("clip_id,lecture\nx,1,1\n", "line 2: it has not as many cells"),
        ("clip_id,lecture\n,1\n", "line 2: names no clip"),
    ],
)
def test_labels_that_cannot_be_read(content, reason, tmp_path):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UsageError, match=reason):
        read_labels(tmp_path / "labels.csv")


def test_reviewers_tags_are_labels(tmp_path):
    from framescribe import Decisions
    from tests.dataset.test_row_file import row

    folder = tmp_path / "set"
    rows = [row(number).to_dict() for number in range(30)]
    from framescribe.dataset.store import RowFolder

    RowFolder(str(folder)).prepare()
    RowFolder(str(folder)).table.append(rows, "run", 0)
    x, _ = planted(30)
    write_features(folder, [feature_row(each["clip_id"], x[n]) for n, each in enumerate(rows)])
    decisions = Decisions(str(folder), reviewer="ann")
    decisions.tag(rows[:12], ["lecture"])
    decisions.accept(rows[12:28])
    lesson = teach(folder, tmp_path / "head.safetensors", features=folder)
    counted = lesson.head.card["labels"]["lecture"]
    assert (counted["positives"], counted["negatives"]) == (12, 16)


def test_the_command_shows_the_numbers(folder, tmp_path):
    features, has_it = folder
    (tmp_path / "labels.jsonl").write_text(
        "".join(json.dumps({"clip_id": f"c{n}", "kind": int(each)}) + "\n" for n, each in enumerate(has_it))
    )
    done = invoke(
        "teach",
        str(tmp_path / "labels.jsonl"),
        "-o",
        str(tmp_path / "head.safetensors"),
        "--features",
        features,
    )
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split() == [
        "label",
        "yes",
        "no",
        "AUC",
        "precision",
        "recall",
        "calibration",
    ]
    applied = invoke("apply", features, str(tmp_path / "head.safetensors"))
    assert (applied.exit_code, applied.stderr.strip()) == (0, "200 clips scored")
    assert Dataset.scored(features).count("kind BETWEEN 0 AND 1") == 200
    assert done.stdout.splitlines()[1].split()[:3] == ["kind", str(has_it.sum()), str((~has_it).sum())]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clips_whose_features_are_no_numbers_are_left_out(bad: float, tmp_path, caplog) -> None:
    x, has_it = planted(60)
    x[3, 0] = bad
    folder = write_features(tmp_path / "set", [feature_row(f"c{n}", vector) for n, vector in enumerate(x)])
    labels = {f"c{n}": {"planted": bool(yes)} for n, yes in enumerate(has_it)}
    lesson = teach(labels, tmp_path / "head.safetensors", features=folder)
    assert "1 labelled clips have no features: c3" in lesson.notes
    assert "features that are no numbers are left out, as of c3" in caplog.text
    found = similar(folder, like="c1", limit=60)
    assert len(found) == 58
    assert all(np.isfinite(row["similarity"]) for row in found)
    assert apply_heads(folder, lesson.head) == 59
    with pytest.raises(UsageError, match="no features of c3"):
        similar(folder, like="c3")
