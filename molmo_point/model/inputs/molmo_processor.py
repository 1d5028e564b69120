"""Conversion of words and images to the tensors of a Molmo sequence, and of tokens to words."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import BatchFeature, PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin

from molmo_point.errors import CheckpointError, InputError
from molmo_point.files import write_file
from molmo_point.model.checkpoint.local_folder import local_folder
from molmo_point.model.checkpoint.report import IMAGE_TOKENS
from molmo_point.model.checkpoint.weight_files import read_object
from molmo_point.model.inputs.batch import TokenRow, padded_batch
from molmo_point.model.inputs.image_input import to_rgb
from molmo_point.model.inputs.preprocess import ImageLayout, PreparedImage, image_token_ids, prepare_image
from molmo_point.model.inputs.tokenizer_files import read_tokenizer, single_digit_ids
from molmo_point.points.dialects.prompts import chat_turns, framed

PROCESSOR_FILES = ("*.json", "*.txt")
_LONGEST_SEQUENCE = 1 << 24
_ONE = "ask about one image at a time, or use a Molmo2 checkpoint"
_IMAGE_KEYS = ("image", "path", "url", "image_url")


class MolmoProcessor(ProcessorMixin):
    """Tokenizer and image settings of one Molmo v1 checkpoint.

    User text is never read as a special token: "<im_patch>" in a question is ten ordinary characters. End-of-sequence
    also begins a sequence, and is the (masked) padding.

    Args:
        tokenizer: Tokenizer with the four image tokens and an end-of-sequence token.
        layout: Image settings; None means those of the released checkpoints.
        max_length: Largest number of tokens of a sequence; None means no limit. Sequences are never truncated.

    Attributes:
        eos_id: Token that begins and ends a sequence.
        image_ids: Ids of the four image tokens, by token.
        digit_ids: Ids of "0" to "9" if numbers are written digit by digit; else empty.

    Raises:
        CheckpointError: The tokenizer lacks one of these tokens.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, layout: ImageLayout | None = None, max_length: int | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.layout = ImageLayout() if layout is None else layout
        self.max_length = max_length
        self.chat_template = None
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in IMAGE_TOKENS if token not in vocabulary]
        eos_id: Any = tokenizer.eos_token_id
        if missing or eos_id is None:
            given = f"missing {', '.join(missing) or 'an end-of-sequence token'}"
            fix = "use the tokenizer.json and tokenizer_config.json of the checkpoint"
            raise CheckpointError("The tokenizer must be that of a Molmo", given, fix)
        self.image_ids = {token: int(vocabulary[token]) for token in IMAGE_TOKENS}
        self.eos_id = int(eos_id)
        self.digit_ids = single_digit_ids(self.encode_text)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> "MolmoProcessor":
        """Read tokenizer and image settings of a checkpoint; code in the folder never runs.

        Args:
            pretrained_model_name_or_path: A folder as released or as `save_pretrained` writes it, or a Hugging Face id.
            options: ``max_crops`` and ``max_length`` replace the values of the checkpoint. Options that locate files
                (``revision``, ``subfolder``, …) are used, all others ignored.

        Raises:
            CheckpointError: A file is missing or broken, or the tokenizer is not that of a Molmo.
            InputError: ``max_crops`` is not an integer from 0.
        """
        folder = local_folder(pretrained_model_name_or_path, PROCESSOR_FILES, options)
        layout = ImageLayout.from_folder(folder)
        if options.get("max_crops") is not None:
            layout = layout.with_max_crops(options["max_crops"])
        max_length = options.get("max_length")
        return cls(read_tokenizer(folder), layout, _max_length(folder) if max_length is None else max_length)

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **options: Any) -> list[str]:
        """Write the tokenizer's files, ``preprocessor_config.json`` and ``processor_config.json``."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.init_kwargs.pop("auto_map", None)  # it names code that is not needed
        written = [str(path) for path in self.tokenizer.save_pretrained(folder)]
        written += write_settings(folder, self.layout, self.to_dict())
        if push_to_hub:
            self.push_to_hub(options.pop("repo_id", folder.name), **options)
        return written

    def to_dict(self) -> dict[str, Any]:
        """Content of ``processor_config.json``."""
        limit = {} if self.max_length is None else {"max_length": self.max_length}
        return {"processor_class": "MolmoProcessor", **limit}

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors returned by `__call__`."""
        return ["input_ids", "attention_mask", "images", "image_masks", "image_input_idx"]

    def encode_text(self, text: str) -> list[int]:
        """Convert plain text to token ids, without added or special tokens."""
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    def decode(self, token_ids: Any, skip_special_tokens: bool = True, **options: Any) -> str:
        """Convert the token ids of one sequence to text, without special tokens and clean-up; −1 is padding."""
        ids = [int(token) for token in (token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids)]
        options = {"clean_up_tokenization_spaces": False} | options
        text: Any = self.tokenizer.decode([i for i in ids if i >= 0], skip_special_tokens=skip_special_tokens, **options)
        return text

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = True, **options: Any) -> list[str]:
        """Convert several sequences to texts, each as in `decode`."""
        return [self.decode(ids, skip_special_tokens, **options) for ids in sequences]

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        *,
        style: str | None = None,
        message_format: str = "role",
        always_start_with_space: bool = True,
        padding: bool | str = True,
        padding_side: str = "left",
        max_length: int | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Build the sequence of BOS, image and user turn, or a batch of such sequences.

        Args:
            images: None, an image (see `image_input`), or for a batch a list with an image or None for each text.
            text: User text without the frame of the turn, or a list of texts.
            style: One of `prompts.STYLES`; None means that of the released chat models.
            message_format: See `prompts.framed`.
            always_start_with_space: See `prompts.framed`.
            padding: True or "longest", "max_length" to pad to ``max_length``, or False to refuse rows of different lengths.
            padding_side: "left" lets `generate` continue every row at its end; training uses "right".
            max_length: Largest number of tokens; None means the processor's own limit.
            return_tensors: "pt" or "np".

        Returns:
            The tensors of `padded_batch`: ``input_ids``, ``attention_mask``, and with an image also those of the image.

        Raises:
            InputError: Text is missing, an image is not usable, their numbers differ, or a sequence or option is not possible.
        """
        texts = _texts(text)
        turns = [framed(t, style, message_format, always_start_with_space) for t in texts]
        prepared = self._prepared(_one_image_each(images, len(texts), isinstance(text, str)))
        rows = [TokenRow([*self._head(image), *self.encode_text(turn)], image) for turn, image in zip(turns, prepared)]
        return self._batch(rows, padding, padding_side, max_length, return_tensors)

    def chat(self, messages: Sequence[dict[str, Any]], image: Any = None, **options: Any) -> BatchFeature:
        """Build the sequence of a conversation that waits for an answer, as a batch of one.

        Args:
            messages: Turns ``{"role": "user" | "assistant", "content": …}``, user first and last. ``content`` is text, or a
                list of ``{"type": "text", "text": …}``; the first turn may have one ``{"type": "image", "image": …}`` as well.
            image: The image, if it is not among the messages.
            options: ``padding``, ``padding_side``, ``max_length`` and ``return_tensors`` of `__call__`.

        Raises:
            InputError: The turns are out of order, or there is more than one image, or one after the first turn.
        """
        return self._batch([self._chat_row(messages, image)], **_batch_options(options))

    def apply_chat_template(
        self, conversation: Any, *_: Any, tokenize: bool = False, return_dict: bool = False, **options: Any
    ) -> Any:
        """Format one conversation or a list of them for transformers' pipelines, each as in `chat`.

        Returns:
            The text of the turns (``tokenize=False``), ``input_ids``, or all tensors (``return_dict=True``).
        """
        several = bool(conversation) and isinstance(conversation[0], (list, tuple))
        conversations = list(conversation) if several else [conversation]
        if not tokenize:
            # The end token separates an answer from the next turn.
            end = str(self.tokenizer.eos_token)
            texts = ["".join(t + end * (k % 2) for k, t in enumerate(chat_turns(c))) for c in conversations]
            return texts if several else texts[0]
        rows = [self._chat_row(messages, None) for messages in conversations]
        batch = self._batch(rows, **_batch_options(options | options.get("processor_kwargs", {})))
        return batch if return_dict else batch["input_ids"]

    def _chat_row(self, messages: Sequence[dict[str, Any]], image: Any) -> TokenRow:
        turns = chat_turns(messages)
        (prepared,) = self._prepared([conversation_image(messages, image)])
        ids = self._head(prepared)
        for k, turn in enumerate(turns):
            ids += self.encode_text(turn)
            if k % 2 == 1:
                ids.append(self.eos_id)
        return TokenRow(ids, prepared)

    def _head(self, image: PreparedImage | None) -> list[int]:
        """Token ids before the first turn."""
        if image is None:
            return [self.eos_id]
        return [self.eos_id, *image_token_ids(image.tiling, self.layout, self.image_ids).tolist()]

    def _prepared(self, images: list[Any]) -> list[PreparedImage | None]:
        """Prepare every image once, even if it occurs several times."""
        ready: dict[int, PreparedImage] = {}
        for image in images:
            if image is not None and id(image) not in ready:
                ready[id(image)] = prepare_image(to_rgb(image), self.layout)
        return [None if image is None else ready[id(image)] for image in images]

    def _batch(
        self,
        rows: list[TokenRow],
        padding: bool | str = True,
        padding_side: str = "left",
        max_length: int | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        limit = self.max_length if max_length is None else max_length
        longest, shortest = (extreme(len(row.ids) for row in rows) for extreme in (max, min))
        if padding not in (True, False, "longest", "max_length"):
            raise InputError("padding must be a known choice", repr(padding), "use True, False, 'longest' or 'max_length'")
        if limit is not None and longest > limit:
            fix = "ask in fewer words, or load the processor with fewer max_crops"
            raise InputError(f"Image and words together must have at most {limit} tokens", f"{longest} tokens", fix)
        if padding is False and longest != shortest:
            given = f"{shortest} to {longest} tokens"
            raise InputError("padding must be on for rows of different lengths", given, "use padding=True")
        if padding == "max_length" and limit is None:
            fix = "pass max_length, or padding=True"
            raise InputError("max_length must be given for this padding", "max_length is None", fix)
        if return_tensors not in ("pt", "np"):
            raise InputError("return_tensors must be 'pt' or 'np'", repr(return_tensors), "use 'pt' or 'np'")
        pad = self.tokenizer.pad_token_id
        arrays = padded_batch(rows, self.eos_id if pad is None else pad, padding_side, limit if padding == "max_length" else None)
        return BatchFeature(arrays, tensor_type=return_tensors)


def _texts(text: Any) -> list[Any]:
    if text is None or (isinstance(text, (list, tuple)) and not text):
        raise InputError("text must not be empty", repr(text), "pass text, e.g. 'Point to the red mug'")
    return list(text) if isinstance(text, (list, tuple)) else [text]


def _one_image_each(images: Any, count: int, single: bool) -> list[Any]:
    """Flatten the accepted nestings to one image or None per text."""
    if images is None:
        return [None] * count
    listed = list(images) if isinstance(images, (list, tuple)) else [images]
    if single and len(listed) > 1:
        listed = [listed]
    if len(listed) != count:
        given = f"{len(listed)} images for {count} texts"
        fix = "pass lists of equal length; for several questions about one image, images=[image] * len(text)"
        raise InputError("images must have one item per text", given, fix)
    flat = []
    for item in listed:
        several = item if isinstance(item, (list, tuple)) else [item]
        if len(several) > 1:
            raise InputError("A text must have at most one image, as in the training of Molmo", f"{len(several)} images", _ONE)
        flat += several or [None]
    return flat


def _batch_options(options: dict[str, Any]) -> dict[str, Any]:
    names = ("padding", "padding_side", "max_length", "return_tensors")
    return {name: options[name] for name in names if name in options}


def conversation_image(messages: Sequence[dict[str, Any]], image: Any = None) -> Any:
    """Find the one image of a conversation, or None; InputError for several, one in a later turn, or a part without any."""
    found = [] if image is None else [image]
    for k, message in enumerate(messages):
        content = message.get("content")
        for part in content if isinstance(content, (list, tuple)) else ():
            kind = part.get("type")
            if kind == "text":
                continue
            if kind not in ("image", "image_url"):
                raise InputError("A message part must be text or an image", f"message {k} has the type {kind!r}", "omit it")
            if k > 0:
                fix = "start a new conversation about it"
                raise InputError("An image must be in the first turn", f"message {k} has one", fix)
            given = [part[key] for key in _IMAGE_KEYS if part.get(key) is not None]
            if not given:
                raise InputError("A part of type image must have an image", repr(part)[:80], 'pass {"type": "image", "image": …}')
            found.append(given[0].get("url") if isinstance(given[0], dict) else given[0])
    if len(found) > 1:
        raise InputError("A conversation must have at most one image, as in the training of Molmo", f"{len(found)} images", _ONE)
    return found[0] if found else None


def _max_length(folder: Path) -> int | None:
    """Read the length limit from ``processor_config.json``, else ``config.json``; None if both lack it."""
    # MolmoE has both names in its configuration, and the first one counts.
    for name, key in (
        ("processor_config.json", "max_length"),
        ("config.json", "max_sequence_length"),
        ("config.json", "max_position_embeddings"),
    ):
        value = read_object(folder / name).get(key)
        if value is not None:
            if type(value) is not int or not 1 <= value <= _LONGEST_SEQUENCE:
                what = f"{key} must be a whole number from 1 to {_LONGEST_SEQUENCE}"
                raise CheckpointError(what, f"{folder / name}: {value!r}", "download the file again")
            return value
    return None


def write_settings(folder: Path, layout: ImageLayout, processor: dict[str, Any]) -> list[str]:
    """Write ``preprocessor_config.json`` and ``processor_config.json`` as released, and return the paths."""
    paths = folder / "preprocessor_config.json", folder / "processor_config.json"
    for path, data in zip(paths, (layout.to_dict(), processor)):
        write_file(path, f"{json.dumps(data, indent=1)}\n".encode())
    return [str(path) for path in paths]
