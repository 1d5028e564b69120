"""Tokenizer of a checkpoint: its files, and its digits."""

from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from molmo_point.errors import CheckpointError

_FIX = "download tokenizer.json and tokenizer_config.json of the checkpoint again"


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Read the tokenizer of a checkpoint folder; CheckpointError if ``tokenizer.json`` is missing or broken."""
    if not (folder / "tokenizer.json").exists():
        raise CheckpointError("The checkpoint must have a tokenizer.json", f"no {folder / 'tokenizer.json'}", _FIX)
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        given = f"{folder}: {type(error).__name__}: {error}"
        raise CheckpointError("The tokenizer of the checkpoint cannot be read", given, _FIX) from error


def single_digit_ids(encode: Callable[[str], Sequence[int]]) -> tuple[int, ...]:
    """Return the token ids of "0" to "9", if the tokenizer writes every number digit by digit; else empty.

    The probabilities of these ten tokens then form a distribution over the value of one digit. Molmo-7B-O and MolmoE-1B
    may write "61" as one token.
    """
    digits = [tuple(encode(digit)) for digit in "0123456789"]
    if any(len(ids) != 1 for ids in digits):
        return ()
    # A tokenizer may join some pairs and not others.
    apart = all(tuple(encode(f"{n:02d}")) == digits[n // 10] + digits[n % 10] for n in range(100))
    return tuple(ids[0] for ids in digits) if apart and len(set(digits)) == 10 else ()
