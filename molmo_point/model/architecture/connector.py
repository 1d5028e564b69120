"""Connector from patch features to the vectors added to the image-token embeddings."""

import torch
import torch.nn.functional as F
from torch import nn

from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig
from molmo_point.model.architecture.vision import VisionAttention, VisionTransformer


class ImageProjector(nn.Module):
    """SwiGLU from the vision width to the language width, without biases."""

    def __init__(self, width_in: int, inner: int, width_out: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width_in, inner, bias=False)
        self.w2 = nn.Linear(inner, width_out, bias=False)
        self.w3 = nn.Linear(width_in, inner, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class VisionBackbone(nn.Module):
    """Vision transformer, padding embedding, 2×2 attention pooling and projector."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__()
        vision = config.vision_config
        assert isinstance(vision, MolmoVisionConfig)
        self.vision = vision
        self.image_vit = VisionTransformer(vision)
        self.pad_embed = nn.Parameter(torch.zeros(2, 2 * vision.hidden_size))
        self.image_pooling_2d = VisionAttention(2 * vision.hidden_size, vision.hidden_size, vision.num_attention_heads)
        self.image_projector = ImageProjector(vision.hidden_size, config.intermediate_size // 2, config.hidden_size)

    def encode(self, images: torch.Tensor, image_masks: torch.Tensor) -> torch.Tensor:
        """Compute features (crops, patches, 2·width) of normalized pixels (crops, patches, 3·patch²), padding embedding added.

        ``image_masks`` (crops, patches) is the fraction of each patch that is image; −1 if unknown.
        """
        features = self.image_vit(images.to(self.pad_embed.dtype))
        all_padding = (image_masks == 0)[..., None].to(features.dtype)
        part_padding = ((image_masks < 1) & (image_masks != 0))[..., None].to(features.dtype)
        return features + self.pad_embed[0] * all_padding + self.pad_embed[1] * part_padding

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Pool 2×2 patches by mean-query attention: (crops, patches, 2·width) → (crops, tokens, width)."""
        side = self.vision.patches_per_side
        crops, width = features.shape[0], features.shape[-1]
        windows = features.view(crops, side // 2, 2, side // 2, 2, width)
        windows = windows.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
        pooled = self.image_pooling_2d(windows.mean(dim=1, keepdim=True), windows)
        return pooled.view(crops, -1, pooled.shape[-1])

    def forward(self, images: torch.Tensor, image_masks: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """Compute the vectors (kept tokens, hidden) of the tokens in ``keep`` (crops, tokens) bool, in row-major order."""
        # A crop of batch padding has no token with a position. Its pixels cannot tell: the reference looks
        # for crops of only −1, but in bfloat16 pixels of real crops may round to −1.
        # Crops do not attend to each other, so skipping one only saves time.
        used = keep.any(dim=1)
        count = int(used.sum())
        if count == 0:
            return self.pad_embed.new_zeros(0, self.image_projector.w2.out_features)
        if count < len(used):
            images, image_masks, keep = images[used], image_masks[used], keep[used]
        pooled = self.pool(self.encode(images, image_masks))
        return self.image_projector(pooled[keep])
