"""A larger model that starts from the weights of a smaller one.

The small model is copied into a corner of the large one's weights. New units start at random, read all units, and are
hardly read at first. Added decoder blocks start by doing nothing.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from molmo_point.errors import InputError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.inputs.molmo_processor import MolmoProcessor

_NEW_SHARE = 0.1  # of their usual scale, for weights by which old units read new ones
_BLOCK = "model.transformer.blocks."


@torch.no_grad()
def grow(model: MolmoForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Put the weights of a smaller checkpoint into a freshly initialized model.

    Token embeddings are carried over by the token's text; the patch embedding is resampled where patches have
    another number of pixels; decoder blocks are spread over the deeper decoder, the last ones staying last.

    Args:
        model: The model to fill; at least as wide and as deep.
        tokenizer: The model's tokenizer.
        folder: The smaller checkpoint.

    Raises:
        InputError: The checkpoint is larger than the model.
    """
    old = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    theirs = MolmoProcessor.from_pretrained(folder)
    state = model.state_dict()
    depth = 1 + max(int(name[len(_BLOCK) :].split(".")[0]) for name in old if name.startswith(_BLOCK))
    place = _spread(depth, model.config.num_hidden_layers)
    _silence_added_blocks(state, place)
    narrow, wide = (s["model.vision_backbone.image_vit.class_embedding"].shape[0] for s in (old, state))
    doubled = np.concatenate([np.arange(narrow), wide + np.arange(narrow)])
    rows = _same_tokens(theirs.tokenizer, tokenizer)
    for name, source in old.items():
        target = state[_placed(name, place)]
        if name.endswith(("wte.embedding", "model.transformer.ff_out.weight")):
            mine, their = rows
            target[mine] = source[their]
            continue
        if name.endswith("patch_embedding.weight"):
            source = _resampled(source, target.shape[1])
        if name.endswith("pad_embed"):
            target[:, doubled] = source
        elif "image_pooling_2d.w" in name and source.ndim == 2 and source.shape[1] == 2 * narrow:
            _paste(target, source, doubled)
        else:
            _paste(target, source, np.arange(source.shape[-1]))


def _paste(target: torch.Tensor, source: torch.Tensor, columns: np.ndarray) -> None:
    if any(ours < theirs for ours, theirs in zip(target.shape, source.shape, strict=True)):
        raise InputError(
            "A model can only grow",
            f"weights {tuple(source.shape)} into {tuple(target.shape)}",
            "start from a smaller checkpoint",
        )
    if source.ndim == 1:
        target[: len(source)] = source
        return
    target[: source.shape[0]] *= _NEW_SHARE
    target[: source.shape[0], torch.from_numpy(columns)] = source


def _spread(old_depth: int, new_depth: int) -> list[int]:
    """Return the places of the old blocks among the new ones: added blocks come early, but not next to each other."""
    added = new_depth - old_depth
    if added < 0:
        raise InputError(
            "A model can only grow", f"{old_depth} decoder blocks into {new_depth}", "start from a smaller checkpoint"
        )
    fresh = {2 * k for k in range(added)} if 2 * added <= new_depth + 1 else set(range(added))
    return [k for k in range(new_depth) if k not in fresh]


def _placed(name: str, place: list[int]) -> str:
    if not name.startswith(_BLOCK):
        return name
    index, rest = name[len(_BLOCK) :].split(".", 1)
    return f"{_BLOCK}{place[int(index)]}.{rest}"


def _silence_added_blocks(state: dict[str, torch.Tensor], place: list[int]) -> None:
    for name, tensor in state.items():
        if not name.startswith(_BLOCK):
            continue
        index, rest = name[len(_BLOCK) :].split(".", 1)
        if int(index) not in place and rest in ("attn_out.weight", "ff_out.weight"):
            tensor.zero_()


def _same_tokens(theirs: PreTrainedTokenizerBase, ours: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return ids (ours, theirs) of the tokens that both have, those of the images apart."""
    vocabulary = theirs.get_vocab()
    special = set(theirs.all_special_tokens) | {t for t in vocabulary if t.startswith(("<im_", "|<EXTRA", "<|image"))}
    shared = sorted(set(vocabulary) & set(ours.get_vocab()) - special)
    shared += [str(theirs.eos_token)] if theirs.eos_token == ours.eos_token else []
    mine, their = ours.get_vocab(), vocabulary
    return [mine[token] for token in shared], [their[token] for token in shared]


def _resampled(weight: torch.Tensor, pixels: int) -> torch.Tensor:
    """Resample a patch embedding (width, 3·p²) for patches of another size that show the same area: (width, ``pixels``).

    The new weights map an enlarged patch to the vector that the old ones gave for the patch.
    """
    before, after = (round((n / 3) ** 0.5) for n in (weight.shape[1], pixels))
    if before == after:
        return weight
    unit = torch.eye(before * before).reshape(-1, 1, before, before)
    enlarge = F.interpolate(unit, size=(after, after), mode="bilinear", antialias=True).reshape(before * before, -1)
    channels = weight.reshape(-1, before * before, 3)
    return torch.einsum("wpc,ip->wic", channels, torch.linalg.pinv(enlarge)).reshape(len(weight), -1)
