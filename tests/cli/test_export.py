import json

import av

from tests.cli.run import invoke
from tests.export.conftest import row, video
from tests.export.loaders import LOADERS


def rows_file(tmp_path):
    clips = [tmp_path / f"{name}.mp4" for name in "abc"]
    for number, clip in enumerate(clips):
        clip.write_bytes(video(number))
    rows = [row(number, clip, f"The video shows a cat.\nClip {number}.") for number, clip in enumerate(clips)]
    rows[2]["flags"] = ["looping"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def test_export(tmp_path):
    options = ("--strip-openers", "--replace", "cat=dog", "--prefix", "Film: ", "--trigger", "FSCR")
    result = invoke("export", rows_file(tmp_path), "--to", "cogvideo-finetune", *options)
    assert result.exit_code == 0, result.stderr
    target = tmp_path / "rows-cogvideo-finetune"
    assert str(target) in result.stderr
    assert "2 of 3 clips" in result.stderr
    assert "1 left out: flagged looping" in result.stderr
    assert f'--data_root "{target}"' in result.stdout
    assert sorted(LOADERS["cogvideo-finetune"](target), key=lambda pair: pair[1]) == [
        (video(0), "FSCR, Film: A dog. Clip 0."),
        (video(1), "FSCR, Film: A dog. Clip 1."),
    ]


def test_options(tmp_path):
    rows = rows_file(tmp_path)
    options = (
        "--to",
        "diffsynth",
        "-t",
        tmp_path / "set",
        "--accept",
        "looping",
        "--max-words",
        "5",
        "--link",
        "hardlink",
    )
    assert invoke("export", rows, *options).exit_code == 0
    assert {caption for _, caption in LOADERS["diffsynth"](tmp_path / "set")} == {"The video shows a cat."}
    assert invoke("export", rows, *options).exit_code == 2
    assert invoke("export", rows, *options, "--overwrite").exit_code == 0


def test_rules_that_mend_a_flag_let_its_captions_in(tmp_path):
    rows = rows_file(tmp_path)
    flags = [["opener"], ["over_budget"], ["opener", "looping"]]
    lines = [
        json.loads(line) | {"flags": some}
        for line, some in zip(rows.read_text().splitlines(), flags, strict=True)
    ]
    rows.write_text("".join(json.dumps(each) + "\n" for each in lines))
    for options, exported in [((), 0), (["--strip-openers"], 1), (["--strip-openers", "--max-words", 4], 2)]:
        result = invoke("export", rows, "--to", "diffsynth", "--overwrite", *options)
        assert result.exit_code == (0 if exported else 2)
        assert exported == 0 or f"{exported} of 3 clips" in result.stderr


def test_refusals(tmp_path):
    rows = rows_file(tmp_path)
    for options, said in [
        (("--to", "avi"), "cogvideo-finetune, cogvideo-sat"),
        (("--to", "diffsynth", "--link", "move"), "is not one of 'copy'"),
        (("--to", "diffsynth", "--replace", "cat"), "A=B"),
        (("--to", "diffsynth", "--replace", "=cat"), "empty"),
        (("--to", "simpletuner", "--link", "reference"), "--link copy"),
    ]:
        result = invoke("export", rows, *options)
        assert result.exit_code == 2
        assert said in result.stderr
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".jsonl"}


def test_clips_are_made_anew(tmp_path):
    """64x48 at 10 fps: by ffprobe 5.1 48x32, 20/1, 5 frames, no sound."""
    rows = rows_file(tmp_path)
    target = ("--to", "cogvideo-finetune", "-t", tmp_path / "set", "--accept", "looping")
    form = ("--fps", "20", "--size", "48x32", "--frames", "9", "--first-frames")
    result = invoke("export", rows, *target, *form, "--keep-clips", tmp_path / "kept")
    assert result.exit_code == 0, result.stderr
    assert "--image_column images.txt" in result.stdout
    assert len(list((tmp_path / "kept").iterdir())) == len(list((tmp_path / "set/images").iterdir())) == 3
    for path in (tmp_path / "set/videos").iterdir():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.average_rate) == (48, 32, 20)
            # Three frames of a tenth of a second: six at this rate, of which 8n + 1 leaves one.
            assert sum(1 for _ in container.decode(stream)) == 1


def test_forms_that_cannot_be_are_told_in_flags(tmp_path):
    rows = rows_file(tmp_path)
    for options, said in [
        (("--size", "500x300"), "--size must be multiples of 32 and at most 8192, not 500x300; take 512x288"),
        (("--size", "wide"), "--size must be width x height"),
        (("--frames", "48"), "--frames must be a multiple of 8 and one, not 48; take 49"),
        (("--fit", "stretch"), "'stretch' is not one of 'crop'"),
        (("--size", "501x300"), "--size must be multiples of 32 and at most 8192, not 501x300; take 512x288"),
        (("--fps", "-1"), "--fps must be above 0"),
        (("--first-frames",), "has no place for first frames; leave out --first-frames"),
    ]:
        result = invoke("export", rows, "--to", "ltx", "-t", tmp_path / "set", *options)
        assert result.exit_code == 2
        assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "set").exists()
