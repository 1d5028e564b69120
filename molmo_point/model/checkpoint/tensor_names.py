"""Names of the tensors of a checkpoint: in released files, in files of the training code, in memory.

In memory every flavor has the names of the released 7B files, and saving writes the released names. Also read are:

- MolmoE as released: ``model.transformer.blocks.N.attn.att_proj``, ``….mlp.ff_norm``, ``lm_head``;
- checkpoints of the training code: no leading ``model.``, and for MolmoE a router ``ffn.router.layer`` and all experts
  of a block stacked in ``ffn.experts.mlp.{w1, v1, w2}``, the last one transposed.
"""

from collections.abc import Iterable
from typing import Any

import torch
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import ConversionOps, WeightConverter, WeightRenaming, WeightTransform

# Read left to right when loading and right to left when saving.
_RELEASED_EXPERTS = (
    (r"\.attn\.(att_proj|attn_out|attn_norm|q_norm|k_norm)\.", r"\.\1\."),
    (r"\.mlp\.ff_norm\.", r"\.ff_norm\."),
    (r"^lm_head\.weight", r"model\.transformer\.ff_out\.weight"),
)
_ROUTER_OF_TRAINING = (r"\.ffn\.router\.layer\.weight", r"\.mlp\.gate\.weight")
_STACKED = {"w1": "gate_proj", "v1": "up_proj", "w2": "down_proj"}
_PREFIX = "model."


class UnstackExperts(ConversionOps):
    """Splitter of (experts·inner, hidden), or its transpose, into the matrices of the experts."""

    def __init__(self, transposed: bool) -> None:
        self.transposed = transposed

    def convert(
        self, input_dict: dict[str, Any], source_patterns: list[str], target_patterns: list[str], **kwargs: Any
    ) -> dict[str, torch.Tensor]:
        """Name each matrix by the target's name, with expert 0 replaced by the number of the expert."""
        (found,) = input_dict.values()
        stack: torch.Tensor = found[0] if isinstance(found, list) else found
        return _unstacked(stack, kwargs["config"].num_experts, self.transposed, target_patterns[0])


def _unstacked(stack: torch.Tensor, num_experts: int, transposed: bool, first: str) -> dict[str, torch.Tensor]:
    """Split a stack of experts into matrices by name; ``first`` names that of expert 0."""
    pieces = stack.unflatten(0, (num_experts, -1))
    pieces = pieces.transpose(1, 2) if transposed else pieces
    return {first.replace(".experts.0.", f".experts.{i}."): piece.contiguous() for i, piece in enumerate(pieces)}


def conversions_on_loading() -> list[WeightTransform]:
    """Build the table that transformers applies: all names of all flavors at once, since no two of them clash."""
    table: list[WeightTransform] = [WeightRenaming(*pair) for pair in (*_RELEASED_EXPERTS, _ROUTER_OF_TRAINING)]
    for theirs, ours in _STACKED.items():
        unstack, target = UnstackExperts(transposed=theirs == "w2"), f".mlp.experts.0.{ours}.weight"
        table.append(WeightConverter(rf"\.ffn\.experts\.mlp\.{theirs}", target, operations=[unstack]))
    return table


def conversions_on_saving(num_experts: int) -> list[WeightTransform]:
    """Build the table that transformers reverts when it saves; empty without experts, as the names in memory are released."""
    return [WeightRenaming(*pair) for pair in _RELEASED_EXPERTS] if num_experts else []


def register_names(model_type: str) -> None:
    """Let transformers read all three sets of names for models of this type. Repeated calls are harmless."""
    register_checkpoint_conversion_mapping(model_type, conversions_on_loading(), overwrite=True)  # pyright: ignore[reportArgumentType]


def name_in_memory(name: str) -> str:
    """Convert the name of a tensor in a file (no stack of experts) to its name in memory; unknown names are kept."""
    renamed = _apply(conversions_on_loading(), name)
    return renamed if renamed.startswith(_PREFIX) else _PREFIX + renamed


def released_name(name: str, num_experts: int) -> str:
    """Convert the name of a tensor in ``model.state_dict()`` to its name in the released files."""
    reverted = [transform.reverse_transform() for transform in reversed(conversions_on_saving(num_experts))]
    return _apply(reverted, name)


def _apply(transforms: Iterable[WeightTransform], name: str) -> str:
    # Older releases of transformers have no function for this.
    for transform in transforms:
        if isinstance(transform, WeightRenaming):
            name, _ = transform.rename_source_key(name)
    return name


def state_in_memory(state: dict[str, torch.Tensor], num_experts: int) -> dict[str, torch.Tensor]:
    """Convert tensors by any of the three sets of names for ``model.load_state_dict``; 0 experts means dense."""
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        block, found, stack = name.partition(".ffn.experts.mlp.")
        if not found:
            renamed[name_in_memory(name)] = tensor
            continue
        first = name_in_memory(f"{block}.mlp.experts.0.{_STACKED[stack]}.weight")
        renamed |= _unstacked(tensor, num_experts, stack == "w2", first)
    return renamed
