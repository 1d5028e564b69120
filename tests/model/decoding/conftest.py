"""Tokenizers, a model that follows a script, and plain greedy decoding to compare with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import DynamicCache

from molmo_point.model.checkpoint.loading import load_model
from molmo_point.model.decoding.decoder import Decoder, Row, Vocabulary
from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.templates import ExpectedAnswer
from molmo_point.model.inputs.molmo_processor import MolmoProcessor

GOLDEN = Path(__file__).parents[2] / "golden"
TABLETOP = Path(__file__).parents[3] / "molmo_point" / "checkpoints" / "tabletop"
CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Words:
    """What decoding needs of a tokenizer, and how many ids there are."""

    encode: Any
    token_text: Any
    vocabulary: Vocabulary
    size: int

    def text(self, ids: Sequence[int]) -> str:
        return "".join(map(self.token_text, ids))

    def drafter(self, request: ExpectedAnswer, **options: Any) -> Drafter:
        return Drafter(self.encode, self.token_text, request, self.vocabulary.digit_ids, **options)


class RecordedPieces:
    """The released tokenizer as far as it was recorded; anything else is a KeyError. Ids are made dense."""

    def __init__(self) -> None:
        record = json.loads((GOLDEN / "released_pieces.json").read_text(encoding="utf-8"))
        self._split = pre_tokenizers.Split(Regex(record["pattern"]), "isolated")
        dense = {int(real): index for index, real in enumerate(record["vocabulary"])}
        self._pieces = {piece: [dense[i] for i in ids] for piece, ids in record["pieces"].items()}
        self._texts = list(record["vocabulary"].values())
        self.answers = [
            answer | {name: [dense[i] for i in answer[name]] for name in ("ids", "prompt_ids")} for answer in record["answers"]
        ]
        self.eos_id = dense[record["eos_id"]]

    def encode(self, text: str) -> list[int]:
        return [token for piece, _ in self._split.pre_tokenize_str(text) for token in self._pieces[piece]]

    def words(self) -> Words:
        digits = tuple(self._pieces[d][0] for d in "0123456789")
        vocabulary = Vocabulary(self.eos_id, digits, self._text)
        return Words(self.encode, self._texts.__getitem__, vocabulary, len(self._texts))

    def _text(self, token: int) -> str:
        """Text of a token that a model chose, which may be none of the recorded ones in a branch that is not accepted."""
        return self._texts[token] if token < len(self._texts) else ""


@pytest.fixture(scope="session")
def recorded() -> RecordedPieces:
    return RecordedPieces()


@pytest.fixture(scope="session")
def released(recorded: RecordedPieces) -> Words:
    """The released 7B-D tokenizer: every digit is a token."""
    return recorded.words()


@pytest.fixture(scope="session")
def joining(recorded: RecordedPieces) -> Words:
    """A tokenizer that joins up to three digits, as those of 7B-O and MolmoE do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(CL100K), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<eos>"], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    whole_numbers = [" ".join(map(str, range(101)))] * 500
    tokenizer.train_from_iterator(
        [a["text"] for a in recorded.answers] + [a["prompt"] for a in recorded.answers] + whole_numbers, trainer
    )

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    def token_text(token: int) -> str:
        return tokenizer.decode([token])

    assert all(len(encode(str(n))) == 1 for n in range(101))
    return Words(encode, token_text, Vocabulary(0, (), token_text), tokenizer.get_vocab_size())


@pytest.fixture(scope="session")
def tabletop() -> Any:
    """The embedded checkpoint: ``.model``, ``.processor`` and ``.words``."""
    processor = MolmoProcessor.from_pretrained(TABLETOP)
    texts = [processor.decode([token]) for token in range(len(processor.tokenizer))]
    vocabulary = Vocabulary(processor.eos_id, processor.digit_ids, lambda token: processor.decode([token]))
    words = Words(processor.encode_text, texts.__getitem__, vocabulary, len(texts))
    return SimpleNamespace(model=load_model(TABLETOP, torch.device("cpu")), processor=processor, words=words)


class ScriptedModel:
    """Says a script, token by token, to whoever sees exactly the script so far; all others hear ``lost``.

    Every position looks at what its mask and the cache show it: one token missing, doubled, wrong
    or at a wrong position, and the answer is lost.
    """

    device = torch.device("cpu")

    def __init__(self, prompt: Sequence[int], answer: Sequence[int], eos_id: int, size: int) -> None:
        self.script = torch.tensor([*prompt, *answer, eos_id, eos_id])
        self.size = size + 1  # the last one says lost
        self.passes = 0
        self.model = self
        self.transformer = {"ff_out": lambda hidden: F.one_hot(hidden[..., 0].long(), self.size).float() * 20}

    def embed(self, ids: torch.Tensor, *image: Any) -> torch.Tensor:
        return ids[..., None].float()

    def __call__(self, embedded: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: Any) -> torch.Tensor:
        self.passes += 1
        fresh = torch.cat([embedded, positions[..., None].float()], -1)[:, None]
        held = cache.update(fresh, fresh, 0)[0][0, 0].long()  # (keys, 2) token, position
        width, keys = embedded.shape[1], len(held)
        seen = torch.ones(width, keys, dtype=torch.bool).tril(keys - width) if mask is None else mask[0, 0]
        right = held[:, 0] == self.script[held[:, 1].clamp(max=len(self.script) - 1)]
        here = positions[0]
        whole = (seen & ~right).sum(1) == 0
        whole &= seen.sum(1) == here + 1
        whole &= (seen.long() * held[:, 1] ** 2).sum(1) == here * (here + 1) * (2 * here + 1) // 6
        following = self.script[(here + 1).clamp(max=len(self.script) - 1)]
        return torch.where(whole, following, self.size - 1)[None, :, None].float()


def run_script(words: Words, prompt: Sequence[int], answer: Sequence[int], drafter: Any, **options: Any) -> Row:
    """Decodes a scripted answer; the row."""
    model = ScriptedModel(prompt, answer, words.vocabulary.eos_id, words.size)
    row = Row(list(prompt), drafter, options.pop("max_new_tokens", len(answer) + 5), **options)
    list(Decoder(model, words.vocabulary).run([row], KeyValueCache(len(prompt) + 2 * len(answer) + 1200)))
    assert model.passes == row.passes + 1
    return row


@pytest.fixture(scope="session")
def scripted() -> Any:
    return run_script


@dataclass(frozen=True)
class Plain:
    """What plain greedy decoding gave: ids, their probabilities, and each step's whole distribution."""

    ids: list[int]
    probabilities: list[float]
    distributions: torch.Tensor
    reason: str


@torch.inference_mode()
def plain_greedy(model: Any, inputs: dict[str, torch.Tensor], eos_id: int, count: int) -> Plain:
    """Token by token with transformers' cache, written here to share nothing with the decoder."""
    cache, step, rows, ids, reason = DynamicCache(config=model.config), dict(inputs), [], [], "length"
    for _ in range(count):
        rows.append(model(**step, past_key_values=cache, use_cache=True).logits[0, -1].float().softmax(-1))
        token = int(rows[-1].argmax())
        if token == eos_id:
            reason = "stop"
            break
        ids.append(token)
        step = {"input_ids": torch.tensor([[token]])}
    return Plain(ids, [float(d[t]) for d, t in zip(rows, ids)], torch.stack(rows), reason)


@pytest.fixture(scope="session")
def greedy_reference() -> Any:
    return plain_greedy


def check_same(row: Row, plain: Plain, digit_ids: Sequence[int]) -> None:
    """Everything that a row tells against the plain steps."""
    assert (row.token_ids, row.finish_reason) == (plain.ids, plain.reason)
    assert row.probabilities == pytest.approx(plain.probabilities, abs=1e-5)
    assert len(row.digit_probabilities) == len(row.passes_at) == len(row.token_ids)
    for token, digits, distribution in zip(row.token_ids, row.digit_probabilities, plain.distributions):
        assert list(digits) == pytest.approx(distribution[list(digit_ids)].tolist() if token in digit_ids else [], abs=1e-5)
    assert row.passes_at == sorted(row.passes_at) and (not row.passes_at or row.passes_at[-1] <= row.passes)


@pytest.fixture(scope="session")
def assert_same() -> Any:
    return check_same
