"""The model on vLLM: a plugin that vLLM finds by its entry point, to serve the official folder without remote code.

Nothing else of framescribe runs there: vLLM schedules, caches, quantizes and samples. ``PromptMaker`` makes prompts of
clips for ``LLM.generate``; ``vllm serve`` decodes videos by the loader ``framescribe`` (see ``docs/vllm.md``).
"""

from __future__ import annotations

import logging

from framescribe.integrations.versions import untried

LOADER = "framescribe"

# BOS, the frames, then all turns, as ``prompt.render`` writes them for ``chat``; it has no place for a system message.
CHAT_TEMPLATE = """
{{- bos_token }}
{%- for message in messages %}{% if message.role != ('assistant' if loop.index0 % 2 else 'user') %}
{{- raise_exception('messages must be of user and assistant in turns, the first of user: not ' + message.role) }}
{%- endif %}{% endfor %}
{%- for message in messages %}{% for part in message.content %}
{%- if part.type == 'video' %}<|reserved_special_token_0|>{% endif %}{% endfor %}{% endfor %}
{%- for message in messages %}
{%- for part in message.content if part.type == 'text' %}
{%- if message.role == 'assistant' %}{{ ' ' + part.text + '\\n' }}
{%- else %}{{ 'Question: ' + part.text + ' Answer:' }}{% endif %}
{%- endfor %}{% endfor %}"""

_MODEL = "framescribe.integrations.vllm.model:CogVLMVideoForCausalLM"


def register() -> None:
    """What vLLM calls in each of its processes; a second call changes nothing.

    An untried version of vLLM is said, not refused: it also serves other models, which are none of ours.
    """
    from vllm import ModelRegistry
    from vllm.multimodal.video import VIDEO_LOADER_REGISTRY

    from framescribe.integrations.vllm.config import register_config
    from framescribe.integrations.vllm.loader import PublishedFrames
    from framescribe.model.config import ARCHITECTURE

    if reason := untried("vllm"):
        logging.getLogger("framescribe").warning("framescribe's vLLM plugin: %s", reason)
    register_config()
    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(ARCHITECTURE, _MODEL)
    VIDEO_LOADER_REGISTRY.register(LOADER)(PublishedFrames)
