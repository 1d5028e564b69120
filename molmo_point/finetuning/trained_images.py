"""Images that a tuned model was trained on, from the settings of its run."""

from pathlib import Path

from molmo_point.errors import InputError
from molmo_point.finetuning.labels.label_set import LabeledImage, LabelSet
from molmo_point.geometry.mapping_file import read_mapping

_SETTINGS = "settings.json"


def trained_images(model: Path) -> list[LabeledImage]:
    """List the labeled images that the run of a tuned model trained on; empty for a folder that is no part of a run.

    Raises:
        InputError: The settings of the run, or its labels, cannot be read.
    """
    settings = model.resolve().parent / _SETTINGS
    if not (settings.parent / "progress.json").is_file() or not settings.is_file():
        return []
    values = read_mapping(settings)
    try:
        share, entries = float(values["validation_share"]), [entry for entry in values["data"] if "path" in entry]
        given = [(Path(e["path"]), e["format"] or None, Path(e["images"]) if e["images"] else None, e["unit"]) for e in entries]
    except (KeyError, TypeError, ValueError) as error:
        fix = "move the checkpoint out of its folder"
        raise InputError("The settings of the run must be readable", f"{settings}: {error!r}", fix) from error
    sets = [LabelSet(path, kind, images, unit or None, True, share) for path, kind, images, unit in given]
    return [image for labels in sets for image in labels.train]
