"""How frames depend on each other, and what codes and holds them."""

from __future__ import annotations

import os
from pathlib import Path

import av

from framescribe.types import Clip
from tests.awkward.making import (
    FPS,
    NUM_FRAMES,
    awkward,
    clip,
    picture,
    video,
)


@awkward("success")
def b_frames(folder: Path) -> Clip:
    return clip(video(folder / "b.mp4", options={"bf": "3", "b_strategy": "0"}))


@awkward("success")
def no_b_frames(folder: Path) -> Clip:
    return clip(video(folder / "no-b.mp4", options={"bf": "0"}))


@awkward("success")
def open_gop(folder: Path) -> Clip:
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=2:b-adapt=0:scenecut=0"}
    return clip(video(folder / "open-gop.mp4", options=options))


@awkward("success")
def starts_within_open_gop(folder: Path) -> Clip:
    """As a recording that was cut: the first frames shown refer to what came before."""
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=2:b-adapt=0:scenecut=0"}
    source = video(folder / "whole.mkv", options=options)
    path = folder / "cut.mkv"
    with av.open(str(source)) as whole, av.open(str(path), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        keyframes = 0
        for packet in whole.demux(whole.streams.video[0]):
            keyframes += packet.is_keyframe
            if packet.size and keyframes > 1:
                packet.stream = stream
                part.mux(packet)
    return clip(path)


@awkward("success")
def long_gop(folder: Path) -> Clip:
    return clip(video(folder / "long-gop.mp4", pts=range(240), options={"g": "10000"}))


@awkward("success")
def short_gop(folder: Path) -> Clip:
    return clip(video(folder / "short-gop.mp4", pts=range(240), options={"g": "4", "bf": "2"}))


@awkward("success")
def all_intra(folder: Path) -> Clip:
    return clip(video(folder / "intra.mp4", pts=range(240), options={"g": "1"}))


@awkward("success")
def intra_refresh(folder: Path) -> Clip:
    options = {"x264-params": "intra-refresh=1:keyint=16:bframes=0"}
    return clip(video(folder / "refresh.mp4", pts=range(120), options=options))


@awkward("success")
def fragmented_mp4(folder: Path) -> Clip:
    flags = {"movflags": "frag_keyframe+empty_moov"}
    return clip(video(folder / "fragments.mp4", pts=range(240), options={"g": "8"}, container_options=flags))


@awkward("success")
def faststart_mp4(folder: Path) -> Clip:
    return clip(video(folder / "fast.mp4", container_options={"movflags": "faststart"}))


@awkward("success")
def mkv(folder: Path) -> Clip:
    return clip(video(folder / "video.mkv", pts=range(240), options={"g": "8", "bf": "2"}))


@awkward("success")
def mov_prores(folder: Path) -> Clip:
    return clip(video(folder / "prores.mov", "prores_ks", pix_fmt="yuv422p10le"))


@awkward("success")
def mov_mjpeg(folder: Path) -> Clip:
    return clip(video(folder / "mjpeg.mov", "mjpeg", pix_fmt="yuvj420p"))


@awkward("success")
def avi_mpeg4(folder: Path) -> Clip:
    return clip(video(folder / "video.avi", "mpeg4"))


@awkward("success")
def avi_mpeg4_b_frames(folder: Path) -> Clip:
    return clip(video(folder / "b.avi", "mpeg4", options={"bf": "2"}))


@awkward("success")
def mpeg_ts(folder: Path) -> Clip:
    return clip(video(folder / "video.ts", pts=range(240), options={"g": "8"}))


@awkward("success")
def mpeg_ts_late_start(folder: Path) -> Clip:
    return clip(video(folder / "late.ts", pts=range(80_000, 80_000 + NUM_FRAMES)))


@awkward("success")
def mpeg_ps(folder: Path) -> Clip:
    # MPEG-2 has no 8 frames per second.
    return clip(video(folder / "video.mpg", "mpeg2video", ticks_per_s=24))


@awkward("success")
def flv(folder: Path) -> Clip:
    return clip(video(folder / "video.flv", "flv"))


@awkward("success")
def wmv(folder: Path) -> Clip:
    return clip(video(folder / "video.wmv", "wmv2"))


@awkward("success")
def gif(folder: Path) -> Clip:
    return clip(video(folder / "video.gif", "gif", pix_fmt="rgb8"))


@awkward("success")
def animated_png(folder: Path) -> Clip:
    return clip(video(folder / "video.apng", "apng", pix_fmt="rgb24"))


@awkward("success")
def raw_h264(folder: Path) -> Clip:
    return clip(video(folder / "video.h264"))


@awkward("success")
def still_png(folder: Path) -> Clip:
    return clip(video(folder / "still.png", "png", pts=[0], pix_fmt="rgb24", container_format="image2pipe"))


@awkward("success")
def still_jpeg(folder: Path) -> Clip:
    return clip(video(folder / "still.jpg", "mjpeg", pts=[0], pix_fmt="yuvj420p", container_format="mjpeg"))


@awkward("success")
def hevc(folder: Path) -> Clip:
    return clip(video(folder / "hevc.mp4", "libx265", options={"x265-params": "log-level=none"}))


@awkward("success")
def hevc_10_bit(folder: Path) -> Clip:
    quiet = {"x265-params": "log-level=none"}
    return clip(video(folder / "hevc10.mp4", "libx265", pix_fmt="yuv420p10le", options=quiet))


@awkward("success")
def h264_10_bit(folder: Path) -> Clip:
    return clip(video(folder / "h264-10.mp4", pix_fmt="yuv420p10le"))


@awkward("success")
def h264_444(folder: Path) -> Clip:
    return clip(video(folder / "444.mp4", pix_fmt="yuv444p"))


@awkward("success")
def vp8(folder: Path) -> Clip:
    """With hidden reference frames, which are packets of their own."""
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good", "cpu-used": "4"}
    return clip(video(folder / "vp8.webm", "libvpx", pts=range(60), options=options))


@awkward("success")
def vp9(folder: Path) -> Clip:
    """With hidden reference frames, which share a packet with the next frame."""
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime", "cpu-used": "8"}
    return clip(video(folder / "vp9.webm", "libvpx-vp9", pts=range(60), options=options))


@awkward("success")
def av1(folder: Path) -> Clip:
    os.environ["SVT_LOG"] = "1"  # errors only: the encoder writes to stderr by itself
    path = video(folder / "av1.mp4", "libsvtav1", options={"preset": "13"})
    if hasattr(os, "sched_setscheduler"):
        # The encoder gives root's thread real-time priority, which would starve all others.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return clip(path)


@awkward("success")
def two_video_streams(folder: Path) -> Clip:
    path = folder / "two-streams.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=FPS) for _ in range(2)]
        for stream, size in zip(streams, [(64, 48), (32, 32)], strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(NUM_FRAMES):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture(number, stream.width, stream.height), "rgb24")
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return clip(path)


@awkward("success")
def sound_longer_than_video(folder: Path) -> Clip:
    return clip(video(folder / "sound.mp4", sound_s=8.0))


@awkward("success")
def sound_longer_than_video_mkv(folder: Path) -> Clip:
    return clip(video(folder / "sound.mkv", sound_s=8.0))


@awkward("success")
def size_changes_midway(folder: Path) -> Clip:
    first = video(folder / "first.ts")
    second = video(folder / "second.ts", size=(96, 64), pts=range(NUM_FRAMES, 2 * NUM_FRAMES))
    path = folder / "sizes.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return clip(path)


@awkward("success")
def prores_with_alpha(folder: Path) -> Clip:
    return clip(video(folder / "alpha.mov", "prores_ks", pix_fmt="yuva444p10le"))


@awkward("success")
def one_pixel(folder: Path) -> Clip:
    return clip(video(folder / "pixel.webm", "libvpx-vp9", size=(1, 1), options={"deadline": "realtime"}))


@awkward("success")
def grey_only(folder: Path) -> Clip:
    return clip(video(folder / "grey.mp4", pix_fmt="gray"))


@awkward("success")
def interlaced_mpeg_2(folder: Path) -> Clip:
    options = {"flags": "+ildct+ilme", "top": "1"}
    return clip(video(folder / "interlaced.mpg", "mpeg2video", ticks_per_s=24, options=options))


@awkward("success")
def png_named_mp4(folder: Path) -> Clip:
    return clip(video(folder / "png.mp4", "png", pts=[0], pix_fmt="rgb24", container_format="image2pipe"))
