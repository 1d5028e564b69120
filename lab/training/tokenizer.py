"""A small byte-level BPE for the embedded model, split like the released Qwen2 tokenizer.

Digits, the dot and ``="`` are tokens of their own, as they are in Molmo-7B-D, so that decoding on
the embedded model takes the same steps as on the big one.
"""

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lab.training.lesson import POINTING
from lab.training.questions import PLAIN_VOCABULARY, draw_questions
from lab.training.shards import plain_object
from lab.training.views import ViewSource
from molmo_point.model.inputs.molmo_processor import IMAGE_TOKENS
from molmo_point.points.dialects.prompts import user_turn
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

END_TOKEN = "<|endoftext|>"
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CORPUS_SCENES = 3000


def train_tokenizer(vocab_size: int = 512, lines: list[str] | None = None) -> PreTrainedTokenizerFast:
    """Train the tokenizer on generated questions and answers.

    Args:
        vocab_size: Base vocabulary, end-of-text token included; image tokens follow it.
        lines: Texts of training rows; None takes questions about plain shapes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_plain_corpus() if lines is None else lines, trainer)
    # Image tokens start at a fixed id, where the base embedding table ends.
    padding = [f"|<EXTRA_TOKENS_{i}>|" for i in range(vocab_size - tokenizer.get_vocab_size())]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (*padding, *IMAGE_TOKENS, "<|image|>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_TOKEN,
        pad_token=END_TOKEN,
        clean_up_tokenization_spaces=False,
    )


def corpus_of(source: ViewSource) -> list[str]:
    """Return texts of questions and answers about random views, as in training rows."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(_CORPUS_SCENES):
        for example in POINTING.ask(source.draw(rng), 5, rng):
            lines += [user_turn(example.prompt), f" {example.answer}"]
    return lines


def _plain_corpus() -> list[str]:
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(_CORPUS_SCENES):
        objects = [
            plain_object(str(rng.choice(list(COLORS))), str(rng.choice(SHAPES)), *rng.uniform(0, 100, 2).tolist())
            for _ in range(int(rng.integers(1, 7)))
        ]
        for example in draw_questions(objects, 4, rng, PLAIN_VOCABULARY):
            lines += [user_turn(example.prompt), f" {example.answer}"]
    return lines
