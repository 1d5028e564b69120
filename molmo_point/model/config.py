"""Configuration of Molmo v1, field names as in the released ``config.json``."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class MolmoVisionConfig(PreTrainedConfig):
    """The image encoder; the defaults are CLIP ViT-L/14-336 as released.

    Attributes:
        image_size: Side of a square crop, pixels.
        patch_size: Side of a patch, pixels.
        hidden_size: Width.
        num_attention_heads: Heads; their width is ``hidden_size / num_attention_heads``.
        num_hidden_layers: Blocks in the checkpoint. The last one never contributes, because the
            features are the outputs of the last-but-one and the ninth-from-last.
        intermediate_size: Inner width of the MLP.
        layer_norm_eps: Epsilon of the layer norms.
    """

    model_type = "molmo_vision"
    base_config_key = "vision_config"

    image_size: int = 336
    patch_size: int = 14
    hidden_size: int = 1024
    num_attention_heads: int = 16
    num_hidden_layers: int = 23
    intermediate_size: int = 4096
    layer_norm_eps: float = 1e-5

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of a crop."""
        return self.image_size // self.patch_size

    @property
    def tokens_per_side(self) -> int:
        """Pooled tokens along one side of a crop (2×2 patches each)."""
        return self.patches_per_side // 2

    @property
    def feature_layers(self) -> tuple[int, int]:
        """Blocks whose outputs are concatenated, in that order."""
        return self.num_hidden_layers - 2, self.num_hidden_layers - 9


@strict
class MolmoConfig(PreTrainedConfig):
    """Molmo v1. ``intermediate_size`` is the fused width: twice the inner width of the MLP."""

    model_type = "molmo"
    sub_configs = {"vision_config": MolmoVisionConfig}  # pyright: ignore[reportAssignmentType]
    keys_to_ignore_at_inference = ["past_key_values"]

    vocab_size: int = 152064
    embedding_size: int | None = None
    additional_vocab_size: int = 128
    hidden_size: int = 3584
    intermediate_size: int = 37888
    num_hidden_layers: int = 28
    num_attention_heads: int = 28
    num_key_value_heads: int | None = 4
    max_position_embeddings: int = 4096
    rope_theta: float = 1_000_000.0
    layer_norm_eps: float = 1e-6
    layer_norm_type: str = "rms"
    qkv_bias: bool = True
    attention_layer_norm: bool = False
    norm_after: bool = False
    clip_qkv: float | None = None
    weight_tying: bool = False
    tie_word_embeddings: bool = False
    use_position_ids: bool = True
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    vision_config: dict[str, Any] | PreTrainedConfig | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.embedding_size is None:
            self.embedding_size = self.vocab_size
        if self.vision_config is None:
            self.vision_config = MolmoVisionConfig()
        elif isinstance(self.vision_config, dict):
            self.vision_config = MolmoVisionConfig(**self.vision_config)
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads
