"""Conversion of words and an image to the tensors of one Molmo2 sequence, as in transformers."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model.checkpoint.weight_files import read_object
from molmo_point.model.inputs.tokenizer_files import read_tokenizer, single_digit_ids
from molmo_point.model.molmo2.image import Molmo2ImageLayout, prepare_molmo2_image

IMAGE_PLACEHOLDER = "<|image|>"
IMAGE_TOKENS = (
    "<im_patch>",
    "<im_col>",
    "<im_start>",
    "<low_res_im_start>",
    "<frame_start>",
    "<im_end>",
    "<frame_end>",
    "<im_low>",
)
_NEEDED = ("<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<im_end>", IMAGE_PLACEHOLDER)
_WORDS = "the red cube"
_FIX = "download the tokenizer and processor files of the checkpoint again"


class Molmo2Processor:
    """Tokenizer, chat template and image settings of one checkpoint; CheckpointError if the tokenizer lacks a token.

    Args:
        tokenizer: Tokenizer with Molmo2's image tokens, an end-of-sequence token and a chat template.
        layout: Image settings.
        columns: True if a column token ends every row of patches of the crops.
        whole_columns: True if a column token ends every row of the overview; None means ``columns``.
        whole_start: True if the overview has a start token of its own.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        layout: Molmo2ImageLayout,
        *,
        columns: bool = True,
        whole_columns: bool | None = None,
        whole_start: bool = True,
    ) -> None:
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in _NEEDED if token not in vocabulary]
        missing += ["an end-of-sequence token"] if tokenizer.eos_token is None else []
        missing += ["a chat template"] if not tokenizer.chat_template else []
        if missing:
            raise CheckpointError("The tokenizer must be that of a Molmo2", f"missing {', '.join(missing)}", _FIX)
        self.tokenizer = tokenizer
        self.layout = layout
        self.columns = columns
        self.whole_columns = columns if whole_columns is None else whole_columns
        self.whole_start = "<low_res_im_start>" if whole_start else "<im_start>"
        self.ids = {token: int(vocabulary[token]) for token in (*IMAGE_TOKENS, IMAGE_PLACEHOLDER) if token in vocabulary}
        special = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
        self.control_tokens = sorted({*self.ids, *special})
        self.digit_ids = single_digit_ids(self.encode_text)

    @classmethod
    def from_folder(cls, folder: Path) -> "Molmo2Processor":
        """Read tokenizer and settings of a checkpoint; CheckpointError if a file is missing, broken, or not that of a Molmo2."""
        tokenizer = read_tokenizer(folder)
        image, whole = (read_object(folder / f"{kind}_config.json", _FIX) for kind in ("preprocessor", "processor"))
        # Newer transformers write the image settings into those of the processor.
        image |= whole.get("image_processor") or {}
        template = read_object(folder / "chat_template.json", _FIX).get("chat_template")
        if not tokenizer.chat_template and template:
            tokenizer.chat_template = template
        return cls(
            tokenizer,
            Molmo2ImageLayout.from_settings(image, str(folder)),
            columns=whole.get("image_use_col_tokens", True) is not False,
            whole_columns=whole.get("use_single_crop_col_tokens"),
            whole_start=whole.get("use_single_crop_start_token", True) is not False,
        )

    def encode_text(self, text: str) -> list[int]:
        """Convert plain text to token ids, without added tokens."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, ids: list[int]) -> str:
        """Convert token ids to text, without special tokens and clean-up."""
        text: Any = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def __call__(self, image: Any, text: str) -> dict[str, torch.Tensor]:
        """Build the sequence of one user turn with an image.

        Args:
            image: (h, w, 3) uint8 RGB, or any other input of `image_input.to_rgb`.
            text: User text.

        Returns:
            ``input_ids``, ``mm_token_type_ids`` (1 for image tokens) and ``attention_mask``, each (1, n) int64; ``pixel_values``
            (crops, patches, 3·patch²); ``image_token_pooling`` (tokens, patches per token); ``image_grids`` (1, 4);
            ``image_num_crops`` (1,).

        Raises:
            InputError: The image is not usable, or the words contain a control token.
        """
        prepared = prepare_molmo2_image(image, self.layout)
        turn = self._turn_ids(text)
        at = turn.index(self.ids[IMAGE_PLACEHOLDER])
        input_ids = torch.tensor([[*turn[:at], *self._image_ids(prepared.grid), *turn[at + 1 :]]])
        image_ids = torch.tensor([self.ids[token] for token in IMAGE_TOKENS if token in self.ids])
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "mm_token_type_ids": torch.isin(input_ids, image_ids).long(),
            "pixel_values": prepared.pixel_values,
            "image_token_pooling": prepared.token_pooling,
            "image_grids": torch.tensor([prepared.grid]),
            "image_num_crops": torch.tensor([len(prepared.pixel_values)]),
        }

    def check_turn(self) -> None:
        """Check that the chat template makes a turn with one image and the words; CheckpointError otherwise."""
        if _WORDS not in self.decode(self._turn_ids(_WORDS)):
            raise CheckpointError("The chat template must be that of a Molmo2", "a turn without the words", _FIX)

    def _turn_ids(self, text: str) -> list[int]:
        turn, placeholder = self.encode_text(self._turn(text)), self.ids[IMAGE_PLACEHOLDER]
        if turn.count(placeholder) != 1:
            given = f"{turn.count(placeholder)} places for one image"
            raise CheckpointError("The chat template must be that of a Molmo2", given, _FIX)
        return turn

    def _turn(self, text: str) -> str:
        """Format the user turn by the chat template."""
        control = [token for token in self.control_tokens if token in text]
        if control:
            # In the template they would become commands to the model.
            raise InputError("The words must not contain a control token", control[0], "omit it")
        message: Any = {"role": "user", "content": [{"type": "text", "text": text}, {"type": "image"}]}
        special = self.tokenizer.special_tokens_map
        try:
            turn = self._render(messages=[message], tools=None, documents=None, add_generation_prompt=True, **special)
        except ImportError as error:
            raise DependencyError("Chat templates need jinja2", str(error), "pip install jinja2") from error
        except Exception as error:  # a template may raise anything
            given = f"{type(error).__name__}: {error}"
            raise CheckpointError("The chat template of the checkpoint cannot be used", given, _FIX) from error
        start: Any = self.tokenizer.bos_token or self.tokenizer.eos_token
        return turn if turn.startswith(start) else start + turn

    @cached_property
    def _render(self) -> Callable[..., str]:
        from molmo_point.model.molmo2.chat_template import chat_template

        return chat_template(self.tokenizer.get_chat_template())

    def _image_ids(self, grid: tuple[int, int, int, int]) -> list[int]:
        """List the tokens of the overview, then of the crops."""
        rows, columns, crop_rows, crop_columns = grid
        column, end = [self.ids["<im_col>"]], self.ids["<im_end>"]
        whole_row = [self.ids["<im_patch>"]] * columns + column * self.whole_columns
        crop_row = [self.ids["<im_patch>"]] * crop_columns + column * self.columns
        whole = [self.ids[self.whole_start], *whole_row * rows, end]
        return [*whole, self.ids["<im_start>"], *crop_row * crop_rows, end]
