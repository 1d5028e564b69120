"""The three parts of a Molmo that are trained at rates of their own."""

from typing import Literal

import torch

Group = Literal["connector", "vision", "language"]
GROUPS: tuple[Group, ...] = ("connector", "vision", "language")


def parameter_groups(model: torch.nn.Module) -> dict[Group, list[torch.nn.Parameter]]:
    """Sort parameters by part, as in the official recipe: the added embeddings belong to the connector.

    Args:
        model: A Molmo, with or without adapters in it.

    Returns:
        A list for each of `GROUPS`, in that order; empty lists for parts without parameters.
    """
    groups: dict[Group, list[torch.nn.Parameter]] = {name: [] for name in GROUPS}
    for name, parameter in model.named_parameters():
        if "image_vit" in name:
            groups["vision"].append(parameter)
        elif "vision_backbone" in name or "new_embedding" in name:
            groups["connector"].append(parameter)
        else:
            groups["language"].append(parameter)
    return groups
