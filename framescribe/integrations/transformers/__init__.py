"""The model in transformers: importing this package registers it with the Auto classes, without remote code.

``AutoConfig``, ``AutoTokenizer``, ``AutoProcessor`` and ``AutoModelForCausalLM`` then load the official folder, and any
other in its layout. Its ``config.json`` has no ``model_type`` and points to code of its own; the Auto classes see it
with a ``model_type`` and without that pointer, even where remote code is allowed.
"""

from __future__ import annotations

from framescribe.integrations.versions import check_version

check_version("transformers", "framescribe.integrations.transformers")

from framescribe.integrations.transformers.config import CogVLMVideoConfig  # noqa: E402  # the check comes first
from framescribe.integrations.transformers.model import CogVLMVideoForCausalLM, CogVLMVideoModel  # noqa: E402
from framescribe.integrations.transformers.processor import CogVLMVideoProcessor  # noqa: E402
from framescribe.integrations.transformers.register import register  # noqa: E402

__all__ = ["CogVLMVideoConfig", "CogVLMVideoForCausalLM", "CogVLMVideoModel", "CogVLMVideoProcessor"]

register()
