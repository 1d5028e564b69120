"""Rows of parquet and JSON-lines files, one after another, each with its place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.files import open_file
from molmo_point.finetuning.labels.row_images import RowError
from molmo_point.geometry.mapping_file import parse_json

_MAX_ROW_BYTES = 16 * 2**20
SUFFIXES = (".parquet", ".jsonl", ".ndjson")


def row_files(path: Path) -> list[Path]:
    """Return the files of rows of a path: itself, or all in a folder, sorted; InputError if it has none."""
    kinds = ", ".join(SUFFIXES)
    if path.is_file() and path.suffix in SUFFIXES:
        return [path]
    if not path.is_dir():
        given = f"{path}, {'another kind of file' if path.exists() else 'which does not exist'}"
        raise InputError("The path of labels must be a file of rows", given, f"pass a {kinds} file, or a folder of them")
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not found:
        raise InputError("The folder of labels must hold files of rows", str(path), f"put {kinds} files into it")
    return found


def read_rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any] | RowError]]:
    """Yield every row of one of `row_files` with its place "file:number", or the fault of a row that cannot be read.

    Of a parquet file only the named columns are read.

    Raises:
        DependencyError: A parquet file needs pyarrow, which is not installed.
        InputError: The file as a whole cannot be read.
    """
    try:
        yield from (_parquet_rows(file, columns) if file.suffix == ".parquet" else _json_rows(file))
    except OSError as error:
        fix = "pass a complete file that may be read"
        raise InputError("A file of rows must be readable", f"{file}: {error}", fix) from error


def _json_rows(file: Path) -> Iterator[tuple[str, dict[str, Any] | RowError]]:
    with open_file(file) as lines:
        for number, line in enumerate(iter(lambda: lines.readline(_MAX_ROW_BYTES + 1), b""), start=1):
            if len(line) > _MAX_ROW_BYTES:
                fix = "write one row a line"
                raise InputError(f"A row must have at most {_MAX_ROW_BYTES // 2**20} MiB", f"{file}:{number}", fix)
            if not line.strip():
                continue
            place = f"{file}:{number}"
            try:
                row = parse_json(line)
            except ValueError as error:  # bytes that are no UTF-8, too
                yield place, RowError(f"the line is no JSON ({error})")
                continue
            strange = f"the line holds a {type(row).__name__}, not names with values"
            yield place, row if isinstance(row, dict) else RowError(strange)


def _parquet_rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any] | RowError]]:
    pyarrow, parquet = (require(name, "A parquet file", "train") for name in ("pyarrow", "pyarrow.parquet"))
    number = 0
    try:
        with open_file(file) as stream, parquet.ParquetFile(stream) as table:
            known = [name for name in columns if name in table.schema_arrow.names]
            for batch in table.iter_batches(batch_size=1024, columns=known):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file}:{number}", row
    except pyarrow.ArrowException as error:
        fix = "download the file again"
        raise InputError("A parquet file must be complete", f"{file}, after row {number}: {error}", fix) from error
