"""What a model made of one caption's text."""

from __future__ import annotations

from dataclasses import dataclass

from framescribe.plain_row import PlainRow

REWRITE_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteRow(PlainRow):
    """A caption rewritten, or why it was not.

    ``clip_id``, ``prompt_index`` and ``variant`` name it; the last one counts.

    Attributes:
        clip_id, prompt_index: of the caption's row.
        variant: the name of this way to put it, such as ``short``.
        caption_digest: of the text that was rewritten (``caption_digest``): once the caption is another one, or edited,
            the rewrite is stale.
        text: the rewritten caption; null if it failed.
        preset: the preset that it was rewritten by; null for an instruction of one's own.
        preset_version: of the preset.
        instruction: what the model was told, beside the caption.
        recipe: digest of all settings that decide what the text may be.
        failed_checks: what was wrong with each answer that was not taken, in order.
        attempts: answers that were asked for.
        error_message: why there is no text; null where there is one.
        endpoint: URL of the API that answered last.
        model: that answered, as the server says.
        temperature: of sampling; 0 is greedy.
        prompt_tokens, output_tokens: of all attempts together, as the server counts them; null if it does not.
        engine_version: version of framescribe that wrote the row.
        created_at: when: ISO 8601, UTC.
        schema_version: version of these columns.
    """

    clip_id: str
    prompt_index: int = 0
    variant: str
    caption_digest: str
    text: str | None
    preset: str | None = None
    preset_version: int | None = None
    instruction: str
    recipe: str
    failed_checks: tuple[str, ...] = ()
    attempts: int
    error_message: str | None = None
    endpoint: str | None = None
    model: str | None = None
    temperature: float
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    engine_version: str
    created_at: str | None = None
    schema_version: int = REWRITE_SCHEMA_VERSION
