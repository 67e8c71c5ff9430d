"""The three phases on the device: sequences in, features and next tokens out; nothing here waits for a result.

Shape legend: B sequences, T packed tokens, P pictures, F frames that show them, S image size, V visual tokens, D width,
W vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate

import torch
from torch import Tensor

from framescribe.engine.batch import DecodeBatch, decode_step
from framescribe.engine.graphs import GraphedStep
from framescribe.engine.kv_cache import KVCache
from framescribe.engine.sequence import Sequence
from framescribe.engine.transfer import to_device, to_host
from framescribe.model import kernels
from framescribe.model.model import CaptionModel
from framescribe.model.pooling import detail, pool


class ModelRunner:
    """A model with its KV cache and the batch that decodes.

    Args:
        model: on its device.
        max_batch: sequences that decode together at most.
        num_blocks: of the cache.
        kv_dtype: of the cache.
        use_cuda_graphs: whether decode steps run as CUDA graphs, where there is CUDA.
    """

    def __init__(
        self,
        model: CaptionModel,
        max_batch: int,
        num_blocks: int,
        kv_dtype: torch.dtype,
        *,
        use_cuda_graphs: bool,
    ) -> None:
        self._model = model
        self._cache = KVCache(model.config, num_blocks, kv_dtype, model.device)
        self._batch = DecodeBatch(max_batch, num_blocks, model.config.vocab_size, model.device)
        # The step knows these, not self: a runner that is dropped is freed at once.
        cache, batch = self._cache, self._batch
        self._decode_step = GraphedStep(
            lambda size: decode_step(model, cache, batch, size),
            max_batch,
            use_cuda_graphs=use_cuda_graphs and kernels.run_on(model.device),
        )

    @property
    def rows(self) -> list[Sequence]:
        """The sequences that decode, in the order of their rows."""
        return self._batch.rows

    def encode(self, sequences: list[Sequence], others: Iterable[Sequence], chunk_frames: int) -> None:
        """Computes the features of these clips' pictures, in full chunks, whosever the pictures are.

        Requests of one clip share its pixels (the same tensor), which are encoded once for all of them.

        Args:
            sequences: those whose pictures are encoded.
            others: get the features too where they share the pixels.
            chunk_frames: pictures that go through the vision tower at once.
        """
        model = self._model
        missing = [each.request.pixels_P3SS for each in sequences if each.features_PVD is None]
        clips = list({id(pictures): pictures for pictures in missing if pictures is not None}.values())
        if not clips:
            return
        pixels_P3SS = torch.cat(
            [pictures.to(model.device, model.dtype, non_blocking=True) for pictures in clips]
        )
        sharing = (*sequences, *others)
        seen = self._seen(pixels_P3SS, chunk_frames, any(each.request.pools for each in sharing))
        features, details = (each.split([len(pictures) for pictures in clips]) for each in seen)
        made = {id(pictures): parts for pictures, *parts in zip(clips, features, details, strict=True)}
        for sequence in sharing:
            if (parts := made.get(id(sequence.request.pixels_P3SS))) is not None:
                sequence.features_PVD, detail_PK = parts
                if sequence.request.pools and (features_FVD := frame_features(sequence)) is not None:
                    sequence.pooled = to_host(pool(features_FVD, of_frames(sequence, detail_PK)))

    def pool(self, pixels_P3SS: Tensor, picture_of_frame: tuple[int, ...], chunk_frames: int) -> Tensor:
        """The pooled features of one clip, by the vision tower alone, as ``model/pooling.py`` gives them."""
        pixels_P3SS = pixels_P3SS.to(self._model.device, self._model.dtype)
        features_PVD, detail_PK = self._seen(pixels_P3SS, chunk_frames, has_detail=True)
        frames = to_device(picture_of_frame, features_PVD.device)
        return pool(features_PVD[frames], detail_PK[frames])

    def _seen(self, pixels_P3SS: Tensor, chunk_frames: int, has_detail: bool) -> tuple[Tensor, Tensor]:
        """The features of pictures, and their detail ([P, 0] unless asked for), in full chunks."""
        vision, chunks = self._model.vision, []
        for pixels in pixels_P3SS.split(chunk_frames):
            states = vision.patch_states(pixels)
            shown = detail(states, pixels) if has_detail else states.new_empty(len(states), 0)
            chunks.append((vision.features(states), shown))
        features_PVD, detail_PK = map(torch.cat, zip(*chunks, strict=True))
        return features_PVD, detail_PK

    def prefill(self, sequences: list[Sequence]) -> Tensor:
        """Computes prompts, packed into one without padding, and chooses the first new token of each, int64 [B]."""
        model, device = self._model, self._model.device

        def packed(values: Callable[[Sequence], list[int]]) -> Tensor:
            return to_device([value for sequence in sequences for value in values(sequence)], device)

        input_ids_T = packed(lambda sequence: sequence.known_ids)
        positions_T = packed(lambda sequence: sequence.known_positions)
        is_vision_T = packed(lambda sequence: list(map(int, sequence.known_is_vision))).bool()
        lengths = [sequence.tokens for sequence in sequences]
        features = [part for each in sequences if (part := frame_features(each)) is not None]
        x_1TD = model.embed(input_ids_T[None], is_vision_T[None], torch.cat(features) if features else None)
        attend = self._cache.prefill(packed(lambda sequence: sequence.slot_mapping), lengths)
        last_token_indices_B = to_device([end - 1 for end in accumulate(lengths)], device)
        hidden_BD = model.decoder(x_1TD, positions_T[None], attend, last_token_indices_B)[0]
        tokens_B = self._batch.add(sequences, model.lm_head(hidden_BD))
        for sequence in sequences:
            sequence.features_PVD = None
        return tokens_B

    def decode(self, grown: list[Sequence]) -> Tensor:
        """Chooses one more token for every row, int64 [B].

        Args:
            grown: sequences that have got a block since the last step.
        """
        self._batch.append_blocks(grown)
        logits_BW = self._decode_step(len(self._batch))
        return self._batch.choose(logits_BW)

    def remove(self, sequences: list[Sequence]) -> None:
        """Takes sequences out of the batch; those that are not in it do not matter."""
        self._batch.remove(sequences)


def frame_features(sequence: Sequence) -> Tensor | None:
    """The features of each of the clip's frames, [F, V, D], from those of its pictures; None for text only."""
    return None if sequence.features_PVD is None else of_frames(sequence, sequence.features_PVD)


def of_frames(sequence: Sequence, values_P: Tensor) -> Tensor:
    """What each picture has, for each of the clip's frames."""
    picture_of_frame = sequence.request.picture_of_frame
    return values_P if picture_of_frame is None else values_P[to_device(picture_of_frame, values_P.device)]
