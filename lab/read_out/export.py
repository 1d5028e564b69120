"""`python -m lab.read_out.export`: a trained read-out as an embedded checkpoint, in float16, with its words."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from lab.training.wordings import CATEGORY_WORDS
from lab.word_description import household_words, with_other_words
from molmo_point.model.checkpoint.trust_file import training_description, write_training_description
from molmo_point.request import Kind

_PATTERNS = ("nouns", "colors nouns", "categories", "colors categories", "colors generic")


def export(run: Path, target: Path, below: str) -> None:
    """Write `config.json` and `model.safetensors`."""
    held = torch.load(run / "network.pt", weights_only=True)
    target.mkdir(parents=True, exist_ok=True)
    words = household_words()
    nouns, colors = set(held["words"]["nouns"]), set(held["words"]["colors"])
    names = {name: options[0][0] for name, options in CATEGORY_WORDS.items()}
    forms = {form: word for form, word in words.forms.items() if word in nouns | colors}
    own = {first: name for name, first in names.items()}
    forms |= {form: own[word] for form, word in words.forms.items() if word in own} | own
    settings = {
        "model_type": "read_out",
        "features": "lite0",
        "below": below,
        "widths": list(held["widths"]),
        "words": {kind: list(each) for kind, each in held["words"].items()},
        "forms": dict(sorted(forms.items())),
    }
    (target / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    tensors = {name: value.half().contiguous() for name, value in held["state"].items()}
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)


def export_words(target: Path, dictionary: Path) -> None:
    """Write the words into `trust.json`; its other parts stay."""
    words = household_words()
    groups = {
        **words.groups,
        "nouns": tuple(sorted({*words.groups["nouns"], *json.loads((target / "config.json").read_text())["words"]["nouns"]})),
    }
    words = replace(words, groups=groups, connecting={"generic": words.connecting["generic"]}, patterns=_PATTERNS)
    kept = {
        form: word
        for form, word in words.forms.items()
        if any(word in each for each in (*groups.values(), words.connecting["generic"]))
    }
    words = with_other_words(replace(words, forms=kept), dictionary.read_text(encoding="utf-8").split())
    told = replace(training_description(target), vocabulary=words, abilities=frozenset({Kind.POINT, Kind.COUNT}))
    write_training_description(target, told)


def main() -> None:
    """Run `python -m lab.read_out.export --run DIR --to DIR`."""
    parser = argparse.ArgumentParser(description="Ship a trained read-out.")
    parser.add_argument("--run", type=Path, required=True, help="folder of lab.read_out.train")
    parser.add_argument("--to", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--below", default="household", help="model for all other words (household)")
    parser.add_argument(
        "--dictionary", type=Path, default=Path("/usr/share/dict/words"), help="words of the language, one a line"
    )
    args = parser.parse_args()
    export(args.run, args.to, args.below)
    export_words(args.to, args.dictionary)


if __name__ == "__main__":
    main()
