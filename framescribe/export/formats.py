"""The formats by name: the only list of them."""

from framescribe.export import (
    ai_toolkit,
    cogvideo_finetune,
    cogvideo_sat,
    cogvideo_sat_wds,
    cogvideox_factory,
    diffsynth,
    diffusion_pipe,
    finetrainers,
    ltx,
    musubi,
    open_sora,
    simpletuner,
    videofolder,
    videox_fun,
    webdataset,
)
from framescribe.export.pair import Format

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        cogvideo_finetune, cogvideo_sat, cogvideo_sat_wds, finetrainers, cogvideox_factory, diffsynth, musubi,
        diffusion_pipe, simpletuner, ai_toolkit, videox_fun, ltx, open_sora, videofolder, webdataset,
    )
}  # fmt: skip
