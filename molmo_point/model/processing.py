"""Words and an image as the tensors of one sequence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from molmo_point.errors import CheckpointError
from molmo_point.model.preprocess import ImageLayout, image_token_ids, prepare_image
from molmo_point.model.prompt import user_turn

IMAGE_TOKENS = ("<im_start>", "<im_end>", "<im_patch>", "<im_col>")


@dataclass(frozen=True)
class ModelInputs:
    """A batch of one: ``input_ids`` (1, n) int64 and the image tensors with a leading 1."""

    input_ids: torch.Tensor
    images: torch.Tensor
    image_masks: torch.Tensor
    image_input_idx: torch.Tensor

    def to(self, device: torch.device | str) -> "ModelInputs":
        """The same on another device."""
        return ModelInputs(
            self.input_ids.to(device),
            self.images.to(device),
            self.image_masks.to(device),
            self.image_input_idx.to(device),
        )


class Processor:
    """Tokenizer and image settings of one checkpoint.

    Args:
        tokenizer: Must know the four image tokens and an end-of-sequence token, which doubles as
            the beginning-of-sequence token (the released tokenizers have none).
        layout: Image settings.

    Raises:
        CheckpointError: The tokenizer lacks one of these tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, layout: ImageLayout) -> None:
        self.tokenizer = tokenizer
        self.layout = layout
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in IMAGE_TOKENS if token not in vocabulary]
        eos_id: Any = tokenizer.eos_token_id
        if missing or eos_id is None:
            raise CheckpointError(
                "The tokenizer is not Molmo's",
                f"missing {', '.join(missing) or 'an end-of-sequence token'}",
                "use the tokenizer.json and tokenizer_config.json of the checkpoint",
            )
        self.image_ids = {token: int(vocabulary[token]) for token in IMAGE_TOKENS}
        self.eos_id = int(eos_id)
        digits = [self.encode_text(digit) for digit in "0123456789"]
        # Some released tokenizers join digits; then there is no distribution over one digit.
        self.digit_ids = tuple(d[0] for d in digits) if all(len(d) == 1 for d in digits) else ()

    @classmethod
    def from_folder(cls, folder: Path) -> "Processor":
        """Reads tokenizer and image settings of a checkpoint folder.

        Raises:
            CheckpointError: A file is missing or broken, or the tokenizer is not Molmo's.
        """
        if not (folder / "tokenizer.json").exists():
            raise CheckpointError(
                "The checkpoint has no tokenizer",
                str(folder / "tokenizer.json"),
                "download tokenizer.json and tokenizer_config.json of the checkpoint",
            )
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # the tokenizers library raises bare Exceptions
            raise CheckpointError(
                "The tokenizer of the checkpoint cannot be read",
                f"{folder}: {type(error).__name__}: {error}",
                "download tokenizer.json and tokenizer_config.json again",
            ) from error
        return cls(tokenizer, ImageLayout.from_folder(folder))

    def encode_text(self, text: str) -> list[int]:
        """Token ids of plain text; nothing is added."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, ids: list[int]) -> str:
        """Text of token ids, special tokens left out, nothing tidied."""
        text: Any = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def __call__(self, image: np.ndarray, text: str) -> ModelInputs:
        """The sequence BOS, image, user turn.

        Args:
            image: (h, w, 3) uint8 RGB.
            text: What the user says, without the turn's frame.
        """
        prepared = prepare_image(image, self.layout)
        image_ids = image_token_ids(prepared.tiling, self.layout, self.image_ids)
        ids = [self.eos_id, *image_ids.tolist(), *self.encode_text(user_turn(text))]
        return ModelInputs(
            input_ids=torch.tensor([ids]),
            images=torch.from_numpy(prepared.images)[None],
            image_masks=torch.from_numpy(prepared.image_masks)[None],
            image_input_idx=torch.from_numpy(prepared.image_input_idx)[None],
        )
