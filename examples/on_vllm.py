"""Captions clips on vLLM with the plugin: the model and its clips as arguments."""

import sys

from vllm import LLM, SamplingParams

from framescribe.integrations.vllm.prompts import PromptMaker

if __name__ == "__main__":
    model, *clips = sys.argv[1:]
    llm = LLM(model, max_model_len=4096)
    make = PromptMaker(model)
    greedy = SamplingParams(temperature=0, max_tokens=512, stop_token_ids=make.stop_ids)
    for clip, output in zip(clips, llm.generate([make(clip) for clip in clips], greedy), strict=True):
        print(clip, output.outputs[0].text.strip(), sep="\t")
