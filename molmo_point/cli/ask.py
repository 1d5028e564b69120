"""`molmo-point ask` and `molmo-point caption`: free questions about one image."""

import argparse
import contextlib
import sys

from molmo_point.cli import frame_source
from molmo_point.cli.output import add_json, show
from molmo_point.cli.point import add_model, load_pointer
from molmo_point.points.dialects.prompts import checked_style
from molmo_point.text_checks import MAX_ANSWER_TOKENS, checked_count, checked_question


def add_ask(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ask`."""
    parser.add_argument("words", metavar="QUESTION", help="what to ask, e.g. 'What is on the table?'")
    parser.add_argument("--style", help="answer as in one of the training sets, e.g. vqa2 for a word or two")
    add_caption(parser)


def add_caption(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `caption`."""
    frame_source.add_arguments(parser)
    add_model(parser).add_argument(
        "--max-tokens", type=int, default=MAX_ANSWER_TOKENS, metavar="N", help="longest answer (default %(default)s tokens)"
    )
    add_json(parser.add_argument_group("output"))
    parser.set_defaults(run=run, words=None, style=None)


def run(options: argparse.Namespace) -> int:
    """Print the answer or, without a question, a description of the image."""
    if options.words is not None:
        checked_question(options.words)
    checked_count("--max-tokens", options.max_tokens, MAX_ANSWER_TOKENS)
    if options.style is not None:
        checked_style(options.style)
    frame = frame_source.read_frame(options)
    with contextlib.redirect_stdout(sys.stderr):
        pointer = load_pointer(options)
        if options.words is None:
            completion = pointer.caption(frame, max_new_tokens=options.max_tokens)
        else:
            completion = pointer.ask(frame, options.words, style=options.style, max_new_tokens=options.max_tokens)
    show(options, completion.to_dict(), completion.text.strip().split("\n"))
    if completion.finish_reason == "length" and not options.json:
        print(f"molmo-point: the answer is cut off after {completion.token_count} tokens (--max-tokens)", file=sys.stderr)
    return 0
