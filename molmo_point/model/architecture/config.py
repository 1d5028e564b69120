"""Configuration of Molmo v1, with the field names of the released ``config.json``."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from molmo_point.errors import CheckpointError
from molmo_point.model.architecture.stem import check_stem
from molmo_point.model.checkpoint.config_bounds import check_bounds
from molmo_point.model.checkpoint.quantization import check_method
from molmo_point.model.checkpoint.released_config import read_config, released_config

_Class = TypeVar("_Class", bound=type)


def _accepts_both_dialects(cls: _Class) -> _Class:
    initial: Callable[..., None] = cls.__init__

    @wraps(initial)
    def __init__(self: Any, **values: Any) -> None:
        initial(self, **released_config(values))

    cast(Any, cls).__init__ = __init__
    return cls


def _refuse(what: str, config: PreTrainedConfig, *names: str) -> None:
    given = ", ".join(f"{name} = {getattr(config, name)}" for name in names)
    raise CheckpointError(what, given, "use the config.json of a released checkpoint, or sizes that match")


@strict
class MolmoVisionConfig(PreTrainedConfig):
    """Configuration of the image encoder; the defaults are CLIP ViT-L/14-336 as released.

    Attributes:
        image_size: Side of a square crop, in pixels.
        patch_size: Side of a patch, in pixels.
        hidden_size: Width of a patch vector, a multiple of ``num_attention_heads``.
        num_hidden_layers: Number of blocks in the checkpoint. The features are the outputs of the second-to-last and the
            ninth-to-last; the last one is unused. With a stem all run; the features are the last output and the first input.
        intermediate_size: Inner width of the MLP.
        stem: `blocks` of a frozen feature network (lists as in its ``features.json``), and `mean` and `std` of the pixel
            values that it takes back; its features replace the pixels of a patch. None, as in every released checkpoint,
            has no stem.
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
    stem: dict[str, Any] | None = None

    @property
    def patches_per_side(self) -> int:
        """Number of patches along one side of a crop."""
        return self.image_size // self.patch_size

    @property
    def tokens_per_side(self) -> int:
        """Number of pooled tokens along one side of a crop, each of 2×2 patches."""
        return self.patches_per_side // 2

    @property
    def feature_layers(self) -> tuple[int, int]:
        """Indices of the blocks whose outputs are concatenated, in this order; −1 means the input of the first block."""
        if self.stem is not None:
            return self.num_hidden_layers - 1, -1
        return self.num_hidden_layers - 2, self.num_hidden_layers - 9

    def validate_sizes(self) -> None:
        """Check the sizes of the encoder; a CheckpointError names those that do not match."""
        if self.stem is not None:
            check_stem(self.stem, self.patch_size)
        elif self.num_hidden_layers < 9:
            _refuse("The image encoder must have 9 blocks or more", self, "num_hidden_layers")
        if self.patch_size < 1 or self.image_size < 1 or self.image_size % (2 * self.patch_size):
            _refuse("A crop must hold an even number of patches along its side", self, "image_size", "patch_size")
        if self.num_attention_heads < 1 or self.hidden_size % self.num_attention_heads:
            what = "The width of the image encoder must be a multiple of its heads"
            _refuse(what, self, "hidden_size", "num_attention_heads")


@_accepts_both_dialects
@strict
class MolmoConfig(PreTrainedConfig):
    """Configuration of all released Molmo v1 checkpoints, in either dialect of names; the defaults are Molmo-7B-D.

    Attributes:
        vocab_size: Number of tokens of the tokenizer.
        embedding_size: Number of rows of the embedding and of the head; None means ``vocab_size``.
        additional_vocab_size: Number of rows added for image tokens; the head has none for them.
        hidden_size: Width of a token vector, an even multiple of ``num_attention_heads``.
        intermediate_size: Fused width of the MLP's (or one expert's) up and gate projections, twice the inner width.
        num_key_value_heads: Number of key-value heads; None means ``num_attention_heads``.
        max_position_embeddings: Longest sequence, in tokens.
        rope_theta: Base of the rotary frequencies.
        qkv_bias: True if the fused projection has a bias (7B-D, 72B).
        attention_layer_norm: True if queries and keys are normalized over their full width (7B-O, MolmoE).
        norm_after: True if a block normalizes its outputs instead of its inputs (7B-O).
        num_experts: Number of experts of every block; 0 means dense.
        num_experts_per_tok: Number of experts for each token.
        vision_config: `MolmoVisionConfig` or a dict of its fields; None means CLIP ViT-L/14-336 as released.

    Raises:
        CheckpointError: The settings describe no Molmo, or need something that is not implemented.
    """

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
    num_experts: int = 0
    num_experts_per_tok: int = 8
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
        self.validate_sizes()  # before transformers divides by them
        super().__post_init__(**kwargs)

    def validate_sizes(self) -> None:
        """Check the sizes of the decoder; a CheckpointError names those that do not match."""
        heads, kv_heads = self.num_attention_heads, self.num_key_value_heads
        if heads < 1 or self.hidden_size % (2 * heads):
            _refuse("The width must be an even multiple of the heads", self, "hidden_size", "num_attention_heads")
        if not kv_heads or kv_heads < 1 or heads % kv_heads:
            what = "The number of heads must be a multiple of the key-value heads"
            _refuse(what, self, "num_attention_heads", "num_key_value_heads")
        if self.intermediate_size < 2 or self.intermediate_size % 2:
            _refuse("The fused width of the MLP must be even", self, "intermediate_size")
        if self.num_experts and not 1 <= self.num_experts_per_tok <= self.num_experts:
            _refuse("num_experts_per_tok must be from 1 to num_experts", self, "num_experts_per_tok", "num_experts")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


def load_config(folder: Path) -> MolmoConfig:
    """Read ``config.json`` of a checkpoint in either released dialect; its ``auto_map`` is ignored.

    Raises:
        CheckpointError: The file is missing, broken, or describes another model.
    """
    path, data = folder / "config.json", read_config(folder)
    if data.get("model_type") != MolmoConfig.model_type:
        given = f"{path}: model_type {data.get('model_type')!r}"
        raise CheckpointError("The checkpoint must be a Molmo v1", given, "use a checkpoint of Molmo v1")
    for key in ("auto_map", "architectures"):
        data.pop(key, None)
    check_method(data.get("quantization_config"), path)
    try:
        check_bounds(released_config(data))
        return MolmoConfig(**data)
    except CheckpointError as error:
        raise CheckpointError(error.what, f"{path}: {error.given}", error.fix) from error
    except Exception as error:  # strict dataclasses raise their own kinds
        given = f"{path}: {error}"
        raise CheckpointError("config.json must describe a Molmo", given, "download the file again") from error
