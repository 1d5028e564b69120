"""The three parts of a Molmo that are trained at rates of their own."""

from typing import Literal

import torch

Group = Literal["connector", "vision", "language"]
GROUPS: tuple[Group, ...] = ("connector", "vision", "language")


def parameter_groups(model: torch.nn.Module) -> dict[Group, list[torch.nn.Parameter]]:
    """Sort parameters by `GROUPS`, as in the official recipe: the added embeddings belong to the connector.

    A frozen stem belongs to no group.
    """
    groups: dict[Group, list[torch.nn.Parameter]] = {name: [] for name in GROUPS}
    for name, parameter in model.named_parameters():
        if ".image_vit.stem." in name:
            continue
        if "image_vit" in name:
            groups["vision"].append(parameter)
        elif "vision_backbone" in name or "new_embedding" in name:
            groups["connector"].append(parameter)
        else:
            groups["language"].append(parameter)
    return groups
