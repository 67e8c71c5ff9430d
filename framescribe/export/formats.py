"""The formats by name: the only list of them."""

from framescribe.export import (
    ai_toolkit,
    cogvideo_finetune,
    cogvideo_sat,
    cogvideo_sat_wds,
    cogvideox_factory,
    cosmos,
    cosmos_predict,
    diffsynth,
    diffusion_pipe,
    fastvideo,
    finetrainers,
    llama_factory,
    llava,
    ltx,
    ms_swift,
    musubi,
    onetrainer,
    open_sora,
    plain_csv,
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
        fastvideo, cosmos, cosmos_predict, onetrainer, llama_factory, ms_swift, llava, plain_csv,
    )
}  # fmt: skip
