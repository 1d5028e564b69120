"""A run's checkpoint as the shipped one: half precision and figures.

python -m lab.export --run run --to molmo_point/checkpoints/tabletop
molmo-point eval tabletop --out figures.json
python -m lab.export --run run --to molmo_point/checkpoints/tabletop --figures figures.json
python -m lab.export --to molmo_point/checkpoints/tabletop --words plain --dictionary /usr/share/dict/words
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lab.word_description import household_words, plain_shape_words, with_other_words
from molmo_point.errors import InputError
from molmo_point.files import write_file
from molmo_point.model.checkpoint.trust_file import TRUST_FILE
from molmo_point.request import Kind
from molmo_point.trust.training_description import TrainingDescription

_COPIED = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)

_TRAININGS = {
    "plain": (plain_shape_words, frozenset({Kind.POINT, Kind.COUNT})),
    "household": (household_words, frozenset({Kind.POINT})),
}
"""Words and abilities by training; household was asked for counts, but its answer is always one."""


def export_words(target: Path, training: str, dictionary: Path) -> None:
    """Write the words and abilities of a training into ``trust.json``; its other parts stay.

    Args:
        target: Folder of the checkpoint to ship.
        training: "plain" or "household".
        dictionary: Words of the language, one a line; those that are like words of the training are no misspellings of them.
    """
    path = target / TRUST_FILE
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    describe, abilities = _TRAININGS[training]
    words = with_other_words(describe(), dictionary.read_text(encoding="utf-8").split())
    held |= TrainingDescription(words, abilities).to_settings()
    write_file(path, (json.dumps(held, indent=1) + "\n").encode())


def export_checkpoint(run: Path, target: Path, figures: dict[str, object] | None) -> None:
    """Write the shipped checkpoint; weights go through a temporary file, so none is half-written.

    Args:
        run: Folder of a training run.
        target: Folder of the checkpoint to ship.
        figures: Figures of the evaluation; their ``sigma_px_at_640`` becomes the error that
            results state. None leaves ``pointing.json`` as it is.

    Raises:
        InputError: The run has no checkpoint yet.
    """
    source = run / "checkpoint"
    weights = source / "model.safetensors"
    if not weights.exists():
        raise InputError("The run must have a checkpoint", str(run), "let it reach its first checkpoint")
    target.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        shutil.copyfile(source / name, target / name)
    half = {name: tensor.to(torch.float16) for name, tensor in load_file(weights).items()}
    temporary = target / "model.safetensors.part"
    save_file(half, temporary, metadata={"format": "pt"})
    temporary.chmod(0o644)  # for others to read; safetensors keeps its files to their owner
    os.replace(temporary, target / "model.safetensors")
    if figures is not None:
        kept = {"sigma_px_at_640": round(float(str(figures["sigma_px_at_640"])), 2), "measured": figures}
        (target / "pointing.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run ``python -m lab.export --run DIR --to DIR``."""
    parser = argparse.ArgumentParser(description="Ship a run's checkpoint.")
    parser.add_argument("--run", type=Path, help="folder of the run whose weights to ship")
    parser.add_argument("--to", type=Path, required=True, help="folder of the shipped checkpoint")
    parser.add_argument("--figures", type=Path, help="JSON written by the evaluation")
    parser.add_argument("--words", choices=_TRAININGS, help="training whose words and abilities to describe")
    parser.add_argument(
        "--dictionary", type=Path, default=Path("/usr/share/dict/words"), help="words of the language, one a line"
    )
    args = parser.parse_args()
    figures = json.loads(args.figures.read_text(encoding="utf-8")) if args.figures else None
    if args.run is not None:
        export_checkpoint(args.run, args.to, figures)
    if args.words is not None:
        export_words(args.to, args.words, args.dictionary)


if __name__ == "__main__":
    main()
