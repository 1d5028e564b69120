"""Command `molmo-point calibrate`: boards, intrinsics, hand-eye, verification, guided capture."""

import argparse

from molmo_point.cli.calibrate import capture_command, hand_eye_command, intrinsics_command, verify_command
from molmo_point.cli.output import add_output, finish
from molmo_point.cli.overwriting import Output, OutputFormat, check_outputs, signed_yaml
from molmo_point.errors import InputError

_DEFAULTS = {
    "charuco": (7, 5, 30.0, 22.0),
    "chessboard": (10, 7, 25.0, 0.0),
    "apriltag": (5, 4, 45.0, 35.0),
    "aruco": (5, 4, 45.0, 35.0),
}
"""Columns, rows, side of a square and of a marker in millimeters, by kind."""
_LIKE_ITSELF = (
    "This chessboard looks the same after a half turn (180°), so images cannot tell which end is up. "
    "Choose columns + rows odd, or a ChArUco board"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `calibrate`."""
    parser.description = "Calibrates cameras, and cameras against arms, and reports the accuracy."
    commands = parser.add_subparsers(dest="what", metavar="what", required=True, parser_class=type(parser))
    add_board(commands.add_parser("board", help="write a board as PDF in true scale, with its YAML"))
    intrinsics_command.add_arguments(commands.add_parser("intrinsics", help="focal length and lens from photos of a board"))
    hand_eye_command.add_arguments(commands.add_parser("hand-eye", help="pose of the camera on the arm or relative to its base"))
    verify_command.add_arguments(commands.add_parser("verify", help="check a calibration with fresh samples or a touch test"))
    capture_command.add_arguments(commands.add_parser("capture", help="guided recording of samples"))


def add_board(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `calibrate board`."""
    parser.add_argument("--kind", choices=["charuco", "chessboard", "apriltag", "aruco"], default="charuco")
    parser.add_argument("--columns", type=int, help="squares (or tags) along the long side")
    parser.add_argument("--rows", type=int, help="squares (or tags) along the short side")
    parser.add_argument("--square-mm", type=float, help="side of a square, or pitch of the tags")
    parser.add_argument("--marker-mm", type=float, help="side of a marker")
    parser.add_argument("--dictionary", default="", help="OpenCV's name, e.g. DICT_5X5_250")
    parser.add_argument("--paper", choices=["A4", "A3", "A2", "letter"], help="default: the smallest that holds the board")
    add_output(parser, "out/board", run_board, "path without suffix")


def run_board(options: argparse.Namespace) -> int:
    """Write the PDF and the YAML."""
    from molmo_point.calibration.boards import Board, board_pdf, board_yaml

    columns, rows, usual, marker = _DEFAULTS[options.kind]
    square = usual if options.square_mm is None else options.square_mm
    marker = marker * square / usual if options.marker_mm is None else options.marker_mm
    columns = columns if options.columns is None else options.columns
    rows = rows if options.rows is None else options.rows
    board = Board(options.kind, columns, rows, square / 1e3, marker / 1e3, options.dictionary)
    if not options.out.name:
        raise InputError("--out must be a path with a name", repr(str(options.out)), "e.g. --out out/board")
    pdf_path, yaml_path = (options.out.with_suffix(suffix) for suffix in (".pdf", ".yaml"))
    outputs = Output("--out", pdf_path, OutputFormat.PDF), Output("--out", yaml_path, OutputFormat.YAML)
    check_outputs(options, *outputs, makes_folders=True)
    files = {pdf_path: board_pdf(board, options.paper), yaml_path: signed_yaml(board_yaml(board))}
    warnings = [_LIKE_ITSELF] if board.like_turns > 1 else []
    lines = [board.describe(), *(f"warning: {words}" for words in warnings)]
    finish(options, {"board": board.to_dict(), "warnings": warnings}, lines, files)
    return 0
