"""Tokenizer of a checkpoint: its files, and its digits."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.tokenizer_bounds import special_tokens_problem, tokenizer_problem
from molmo_point.model.checkpoint.weight_files import irregular_files, read_object

_ANSWER = ' Counting the <points x1="12.3" y1="45.6" x2="78.9" y2="0.0" alt="Red cubes">red cubes</points> shows a total of 2.'
_MOST_TOKENS_PER_LETTER = 4
_FIX = "download tokenizer.json and tokenizer_config.json of the checkpoint again"


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Read the tokenizer of a checkpoint folder; CheckpointError if ``tokenizer.json`` is missing, broken or out of bounds."""
    for found in irregular_files(folder) if folder.is_dir() else ():
        raise CheckpointError(
            "The files of the tokenizer must be regular files", f"{folder / found.file}: {found.text}", found.fix
        )
    path = folder / "tokenizer.json"
    missing = CheckpointError("The checkpoint must have a tokenizer.json", f"no {path}", _FIX)
    problem = tokenizer_problem(read_object(path, _FIX, missing))
    if problem:
        raise CheckpointError("The tokenizer of the checkpoint must be sound", f"{path}: {problem}", _FIX)
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if problem := special_tokens_problem(read_object(folder / name, _FIX)):
            raise CheckpointError("The tokenizer of the checkpoint must be sound", f"{folder / name}: {problem}", _FIX)
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the tokenizers library raises bare Exceptions, and panics that are none
        given = f"{folder}: {type(error).__name__}: {error}"
        raise CheckpointError("The tokenizer of the checkpoint cannot be read", given, _FIX) from error


def check_tokenizer(tokenizer: Any, rows: int, head_rows: int, where: Path) -> None:
    """Check that a tokenizer keeps the text of an answer, and that the model has rows for its tokens.

    Args:
        tokenizer: Tokenizer as `read_tokenizer` returns it.
        rows: Rows of the embedding, those of added tokens included.
        head_rows: Rows of the head: tokens that the model can write.
        where: Folder, for the error.

    Raises:
        CheckpointError: A token has no row, two share a number, or the text of an answer comes out changed.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    largest = max(vocabulary.values(), default=0)
    end, special = tokenizer.eos_token_id, set(tokenizer.all_special_ids)
    problem = ""
    if largest >= rows:
        problem = f"it has tokens up to {largest}, the model has embeddings for {rows}"
    elif len(set(vocabulary.values())) < len(vocabulary):
        problem = "two of its tokens have one number"
    elif type(end) is not int or not 0 <= end < head_rows:
        problem = f"its end of sequence is {end!r}, which the model cannot write: its head has {head_rows} rows"
    else:
        ids = tokenizer.encode(_ANSWER, add_special_tokens=False)
        text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if len(ids) > _MOST_TOKENS_PER_LETTER * len(_ANSWER) or special & set(ids) or text.strip() != _ANSWER.strip():
            problem = f"it changes the text of an answer: {text[:60]!r}"
    if problem:
        raise CheckpointError("The tokenizer must be that of the model", f"{where}: {problem}", _FIX)


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
