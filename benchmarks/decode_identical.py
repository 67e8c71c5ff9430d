"""Whether frames are those of decoding everything: over codecs, groups of pictures, containers, stamps and damage.

    python -m benchmarks.decode_identical --json decode_identical.json

Makes some 250 small files of real pictures and decodes each under five samplings, twice: as framescribe does, and by
the same code with every packet decoded. Frames, their numbers and seconds, and the clip's facts are compared. Files
that are whole are also held against a PyAV loop that decodes everything, damaged ones against the file before the
damage: damage that lies only in what is left out is not noticed, and decoders fill what they cannot decode with what
they decoded before, so that a wrong picture may be wrong in another way. Last line: JSON; exit code 1 if any frame of a
whole file differs, or damage makes more pictures wrong than when everything is decoded.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.provenance import provenance, publish
from framescribe.errors import ClipError
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video import reading
from framescribe.video.decode import decode_frames
from framescribe.video.needed import NeededPackets

REAL = Path(__file__).parents[1] / "examples" / "real"
SIZE = (128, 80)
COUNT = 120
FPS = 24
SAMPLINGS = [
    FrameSampling("chat", 24),
    FrameSampling("chat", 5, fps=3),
    FrameSampling("uniform", 24),
    FrameSampling("uniform", 4),
    FrameSampling("base", 7),
]
X264 = {
    "default": "",
    "no B": "bframes=0",
    "no pyramid": "b-pyramid=none:b-adapt=0",
    "strict pyramid": "b-pyramid=strict:b-adapt=0:keyint=40",
    "8 B": "bframes=8:b-adapt=0:keyint=60",
    "open groups": "open-gop=1:keyint=15:b-adapt=0",
    "closed groups": "keyint=15:min-keyint=15:b-adapt=0",
    "all intra": "keyint=1",
    "intra refresh": "intra-refresh=1:keyint=20",
    "fields in frames": "tff=1:b-adapt=0",
    "one reference": "ref=1",
    "16 references": "ref=16:bframes=5:b-adapt=0",
    "slices": "slices=4:b-adapt=0",
    "CAVLC": "cabac=0:b-adapt=0",
    "delimiters": "aud=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500",
}
X265 = {
    "default": "",
    "no B": "bframes=0",
    "no pyramid": "b-pyramid=0:b-adapt=0",
    "open groups": "open-gop=1:keyint=15:b-adapt=0",
    "closed groups": "open-gop=0:keyint=15:b-adapt=0",
    "leading pictures": "open-gop=0:keyint=20:radl=2:b-adapt=0",
    "2 temporal layers": "temporal-layers=2:b-adapt=0",
    "3 temporal layers": "temporal-layers=3:b-adapt=0",
    "intra refresh": "intra-refresh=1:keyint=20",
    "fields": "interlace=tff",
    "slices": "slices=2:b-adapt=0",
    "repeated headers": "repeat-headers=1:aud=1:keyint=25",
}
OTHERS = {
    "libsvtav1": [{"preset": "12", "g": "30"}, {"preset": "12", "svtav1-params": "pred-struct=1"}],
    "libvpx-vp9": [{"deadline": "realtime", "cpu-used": "8"}, {"auto-alt-ref": "1", "lag-in-frames": "16"}],
    "libvpx": [{"deadline": "realtime"}, {"auto-alt-ref": "1", "lag-in-frames": "16"}],
    "mpeg4": [{"bf": "2", "g": "12"}, {"bf": "0"}],
    "mpeg2video": [{"bf": "2", "g": "12"}, {"flags": "+ildct+ilme", "bf": "2"}],
    "mpeg1video": [{"bf": "2"}],
    "mjpeg": [{}],
    "ffv1": [{}],
}
CONTAINERS = {
    "libx264": ["mp4", "mkv", "ts", "mov", "flv", "avi"],
    "libx265": ["mp4", "mkv", "ts"],
    "libsvtav1": ["mp4", "webm"],
    "libvpx-vp9": ["webm", "mp4"],
    "libvpx": ["webm"],
    "mpeg4": ["mp4", "avi"],
    "mpeg2video": ["ts", "mkv"],
    "mpeg1video": ["mpg"],
    "mjpeg": ["avi"],
    "ffv1": ["mkv"],
}
STAMPS = {
    "uneven": [number * 100 + number * 37 % 71 for number in range(COUNT)],
    "late": [5000 + number * 100 for number in range(COUNT)],
    "held": [number * 100 + (4000 if number > 60 else 0) for number in range(COUNT)],
}
PLAIN_STAMPS = [number * 100 for number in range(COUNT)]


def pictures() -> list[av.VideoFrame]:
    found: list[av.VideoFrame] = []
    for path in sorted(REAL.glob("*.mp4"))[:3]:
        with av.open(str(path)) as container:
            found += [frame.reformat(*SIZE, "yuv420p") for frame in container.decode(video=0)]
    return found[:COUNT]


def encode(
    path: Path, frames: list[av.VideoFrame], encoder: str, options: dict[str, str], pts: list[int]
) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=FPS, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        is_fixed_rate = encoder in ("mpeg1video", "mpeg2video", "mpeg4") or path.suffix == ".avi"
        if not is_fixed_rate:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 100 * FPS)
        for frame, stamp in zip(frames, pts, strict=True):
            frame.pts, frame.time_base, frame.pict_type = stamp, Fraction(1, 100 * FPS), 0
            if is_fixed_rate:
                frame.pts, frame.time_base = stamp // 100, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def structures() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, encoder and options."""
    for name, params in X264.items():
        yield f"x264 {name}", "libx264", {"preset": "veryfast", "x264-params": params}
    for name, params in X265.items():
        quiet = f"log-level=none:pools=1:{params}".rstrip(":")
        yield f"x265 {name}", "libx265", {"preset": "superfast", "x265-params": quiet}
    for encoder, choices in OTHERS.items():
        for number, options in enumerate(choices):
            yield f"{encoder} {number}", encoder, options


def damaged(content: bytes, kind: str, chance: random.Random) -> bytes:
    """Bytes overwritten, lost or flipped, behind the first tenth."""
    changed = bytearray(content)
    first = len(changed) // 10
    if kind == "cut off":
        return bytes(changed[: chance.randrange(len(changed) // 2, len(changed))])
    if kind == "overwritten":
        at = chance.randrange(first, len(changed) - 400)
        changed[at : at + 400] = bytes([255]) * 400
    if kind == "lost":
        at = chance.randrange(first, len(changed) - 400)
        del changed[at : at + 188]
    if kind == "bits":
        for _ in range(12):
            changed[chance.randrange(first, len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


DAMAGE = ["cut off", "overwritten", "lost", "bits"]


def files(folder: Path) -> Iterator[tuple[str, Path, Path | None]]:
    """What each is, its path, and that of the same file as it was before it was damaged; itself if it was not."""
    frames, chance = pictures(), random.Random(0)
    for name, encoder, options in structures():
        for ending in CONTAINERS[encoder]:
            path = folder / f"{name}.{ending}"
            encode(path, frames, encoder, options, PLAIN_STAMPS)
            yield f"{name}, {ending}", path, path
            if encoder in ("libx264", "libx265") and ending in ("mp4", "ts") and "default" not in name:
                kind = DAMAGE[chance.randrange(4)]
                harmed = folder / f"{name} {kind}.{ending}"
                harmed.write_bytes(damaged(path.read_bytes(), kind, chance))
                yield f"{name}, {ending}, {kind}", harmed, path
    for name, encoder, options in structures():
        if any(word in name for word in ("default", "open groups", "closed groups", "pyramid")):
            base = folder / f"{name}.mkv"
            for number in range(4):
                for kind in DAMAGE:
                    harmed = folder / f"{name} {kind} {number}.mkv"
                    harmed.write_bytes(damaged(base.read_bytes(), kind, chance))
                    yield f"{name}, mkv, {kind} {number}", harmed, base
            for stamps, pts in STAMPS.items():
                path = folder / f"{name} {stamps}.mp4"
                encode(path, frames, encoder, options, pts)
                yield f"{name}, mp4, {stamps}", path, path
    for encoder in ("libx264", "libx265"):
        parts = [
            folder / f"{'x264' if encoder == 'libx264' else 'x265'} {name}.ts" for name in ("default", "no B")
        ]
        joined = folder / f"{encoder} joined.ts"
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        yield f"{encoder}, joined recordings", joined, None


def every_packet(stream: Any, index: Any, wanted: Any, may_leave_out: bool) -> NeededPackets:
    return NeededPackets(stream, index, wanted, may_leave_out=False)


def decoded(path: Path, sampling: FrameSampling, needed: Any = NeededPackets) -> Frames | str:
    reading.NeededPackets = needed  # type: ignore[misc]
    try:
        return decode_frames(Clip(str(path)), sampling)
    except ClipError as error:
        return f"{error.stage}: {error}"
    finally:
        reading.NeededPackets = NeededPackets  # type: ignore[misc]


def are_equal(now: Frames | str, everything: Frames | str) -> bool:
    if isinstance(now, str) or isinstance(everything, str):
        return now == everything
    names = ("indices", "timestamps_s", "covered_s", "facts")
    is_same = all(getattr(now, name) == getattr(everything, name) for name in names)
    return is_same and np.array_equal(now.pixels, everything.pixels)


def wrong_seconds(frames: Frames, before: dict[float, np.ndarray]) -> list[float]:
    """Of the pictures that are not those of the file before it was damaged."""
    seen = zip(frames.timestamps_s, frames.pixels, strict=True)
    return [s for s, picture in seen if not np.array_equal(picture, before.get(round(s, 3)))]


def of_damage(path: Path, now: Frames | str, everything: Frames | str) -> str:
    if isinstance(now, str) or isinstance(everything, str):
        return "differs: one of them fails"
    whole = decoded(path, FrameSampling("uniform", COUNT))
    assert isinstance(whole, Frames)
    before = {round(s, 3): picture for s, picture in zip(whole.timestamps_s, whole.pixels, strict=True)}
    wrong, wrong_of_everything = wrong_seconds(now, before), wrong_seconds(everything, before)
    if len(wrong) > len(wrong_of_everything) or set(wrong) & set(everything.timestamps_s) - set(
        wrong_of_everything
    ):
        return "differs: more wrong pictures"
    if now.facts != everything.facts:
        return "damage in what is left out"
    return "wrong pictures are wrong in another way"


def differs_from_plain(path: Path, now: Frames) -> bool:
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in container.decode(video=0)]
    return len(plain) != now.facts.num_frames or not all(
        np.array_equal(picture, plain[index]) for picture, index in zip(now.pixels, now.indices, strict=True)
    )


def compared(path: Path, before: Path | None, sampling: FrameSampling) -> str:
    now, everything = decoded(path, sampling), decoded(path, sampling, every_packet)
    if not are_equal(now, everything):
        return "differs" if before in (path, None) else of_damage(before, now, everything)
    if before == path and (isinstance(now, str) or differs_from_plain(path, now)):
        return "differs from a plain loop"
    return "equal"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    made_by = provenance()
    verdicts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for what, path, before in files(Path(folder)):
            kinds["whole" if before == path else "joined" if before is None else "damaged"] += 1
            for sampling in SAMPLINGS:
                found = compared(path, before, sampling)
                verdicts[found] += 1
                if found != "equal":
                    notes.append(f"{what}, {sampling.strategy} {sampling.num_frames}: {found}")
                    print(notes[-1], flush=True)
    result = {"files": kinds.total(), "kinds": dict(kinds), "comparisons": dict(verdicts), "not_equal": notes}
    publish({**result, **made_by}, settings.json)
    sys.exit(any("differs" in found for found in verdicts))


if __name__ == "__main__":
    main()
