"""Report on a checkpoint folder: identity, completeness and memory, without loading it."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from molmo_point.backend import resolve_checkpoint
from molmo_point.errors import CheckpointError, InputError
from molmo_point.model.checkpoint.image_settings import image_settings
from molmo_point.model.checkpoint.memory import MemoryNeed, ParameterCounts, count_parameters, memory_needs
from molmo_point.model.checkpoint.published_sizes import Flavor, flavor_of
from molmo_point.model.checkpoint.quality_file import QUALITY_FILE, measured_quality
from molmo_point.model.checkpoint.tokenizer_bounds import tokenizer_problem
from molmo_point.model.checkpoint.trust_file import TRUST_FILE, training_description
from molmo_point.model.checkpoint.weight_files import Problem, StoredWeights, WeightFile, read_json, weights_of, words_of

IMAGE_TOKENS = ("<im_start>", "<im_end>", "<im_patch>", "<im_col>")
_AGAIN = "download it again"
_ADAPTER = "adapter_config.json"
_READ_OUT = "read_out"
_BASE = "use the adapter with the base that it was trained on"


@dataclass(frozen=True)
class ImageSettings:
    """Image settings: sides of crop and patch in pixels, limit of crops, and True if they are stored."""

    crop_px: int
    patch_px: int
    max_crops: int
    stored: bool


@dataclass(frozen=True)
class CheckpointReport:
    """Result of inspecting a checkpoint folder.

    Attributes:
        folder: Path of the folder.
        flavor: Model described by ``config.json``; None if unknown.
        files: Weight files with their sizes in bytes.
        dtypes: Number of values by stored dtype ("F32", …).
        parameters: Counts of the model, or of the files if the model was not built; None if unknown.
        memory: Memory need in each precision; empty if the shapes are unknown.
        image: Image settings; None if unreadable, or for Molmo2.
        problems: Everything that prevents loading.
        notes: Other useful facts.
        compared: True if names and shapes of the tensors were compared with those of the model.
        adapter_of: The base of an adapter, which all other facts are of; empty for a model.
    """

    folder: str
    flavor: Flavor | None
    files: tuple[WeightFile, ...]
    dtypes: dict[str, int]
    parameters: ParameterCounts | None
    memory: tuple[MemoryNeed, ...]
    image: ImageSettings | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    compared: bool
    adapter_of: str = ""

    @property
    def complete(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems

    @property
    def size_bytes(self) -> int:
        """Size of the weight files, in bytes."""
        return sum(file.size_bytes for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Convert the report to JSON types."""
        memory = [asdict(need) | {"total_bytes": need.total_bytes, "on_cpu_bytes": need.on_cpu_bytes} for need in self.memory]
        flavor = asdict(self.flavor) | {"words": self.flavor.words} if self.flavor is not None else None
        return asdict(self) | {"flavor": flavor, "memory": memory, "complete": self.complete, "size_bytes": self.size_bytes}


def inspect_checkpoint(folder: str | Path, *, use_torch: bool = True) -> CheckpointReport:
    """Inspect names, sizes, headers and numbers; runs no code of the folder.

    Args:
        folder: Checkpoint folder of Molmo, Molmo2 or MolmoPoint. Faults become part of the report.
        use_torch: True compares the tensors with those of the model, reads ``.bin`` files, and looks at every weight.
            Without it, or without torch, the report notes that this was skipped.
    """
    folder = Path(folder)
    use_torch = use_torch and find_spec("torch") is not None and find_spec("transformers") is not None
    if (folder / _ADAPTER).is_file():
        return _adapter_report(folder, use_torch)
    weights = weights_of(folder, look_into_bins=use_torch)
    if any(problem.kind == "folder" for problem in weights.problems):
        return CheckpointReport(str(folder), None, (), {}, None, (), None, weights.problems, (), False)
    settings, _ = _read(folder, "config.json", "config")
    if isinstance(settings, dict) and settings.get("model_type") == _READ_OUT:
        return _read_out_report(folder, settings, weights, use_torch)
    notes: list[str] = []
    config, flavor, problems = _config(folder)
    model, misfitting = _model(folder, weights, flavor, notes, use_torch)
    image, image_problems = _image_settings(folder, config, flavor, notes)
    problems += [*weights.problems, *misfitting, *_tokenizer_problems(folder, _rows(config)), *image_problems]
    problems += _quality_problems(folder)
    notes += _trust_notes(folder)
    if use_torch and flavor is not None:
        problems += _deep_problems(folder, weights, flavor, not any(p.kind == "tokenizer" for p in problems))
    dtypes: Counter[str] = Counter()
    for tensor in weights.tensors.values():
        dtypes[tensor.dtype] += tensor.size
    whole = not any(problem.kind == "file" for problem in weights.problems)
    # Quantized weights are packed, so their shapes give neither values nor memory.
    stored = {t.name: t.shape for t in weights.tensors.values()} if whole and not (flavor and flavor.quantized) else {}
    shapes = (model or stored).items()
    return CheckpointReport(
        folder=str(folder),
        flavor=flavor,
        files=weights.files,
        dtypes=dict(dtypes.most_common()),
        parameters=count_parameters(shapes, flavor) if shapes else None,
        memory=memory_needs(shapes, flavor) if shapes and flavor is not None else (),
        image=image,
        problems=tuple(problems),
        notes=tuple(notes),
        compared=bool(model and weights.tensors and not (flavor and flavor.quantized)),
    )


def _read_out_report(folder: Path, settings: dict[str, Any], weights: StoredWeights, use_torch: bool) -> CheckpointReport:
    """Inspect a read-out of names, which has neither tokenizer nor crops."""
    problems, notes = [*weights.problems, *_quality_problems(folder)], _trust_notes(folder)
    if use_torch:
        from molmo_point.model.read_out.read_out_network import load_read_out

        try:
            load_read_out(folder, settings)
        except CheckpointError as error:
            problems.append(Problem("weights", "model.safetensors", error.given, error.fix))
    dtypes: Counter[str] = Counter()
    for tensor in weights.tensors.values():
        dtypes[tensor.dtype] += tensor.size
    return CheckpointReport(
        str(folder), None, weights.files, dict(dtypes.most_common()), None, (), None, tuple(problems), tuple(notes), use_torch
    )


def _adapter_report(folder: Path, use_torch: bool) -> CheckpointReport:
    """Inspect an adapter and its base, if the base is a folder here."""
    report = CheckpointReport(str(folder), None, (), {}, None, (), None, (), (), False, "unknown")
    if not use_torch:
        return replace(report, notes=("the adapter was not inspected: torch and transformers are not installed or not used",))
    from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
    from molmo_point.model.architecture.config import load_config
    from molmo_point.model.checkpoint.adapters import adapter_problems, base_of, foreign_problems
    from molmo_point.model.checkpoint.weight_checks import expected_shapes

    problems = adapter_problems(folder)
    try:
        named = base_of(folder)
        base = Path(resolve_checkpoint(named))
    except CheckpointError:  # told by `adapter_problems`
        return replace(report, problems=tuple(problems))
    except InputError as error:
        return replace(report, problems=(*problems, Problem("folder", "", f"its base is not here ({error.given})", _BASE)))
    if not base.is_dir():
        return replace(report, adapter_of=named, problems=tuple(problems), notes=(f"its base {named} is not a folder here",))
    if (base / _ADAPTER).is_file():
        return replace(report, adapter_of=named, problems=(Problem("folder", "", "its base is an adapter, too", _BASE),))
    report = inspect_checkpoint(base)
    known = report.flavor is not None and report.flavor.family == "molmo" and not report.problems
    if known and not problems:
        problems = foreign_problems(folder, expected_shapes(MolmoForCausalLM, load_config(base)))
    inherited = [replace(problem, file=str(base / problem.file)) for problem in report.problems]
    others = (note for note in report.notes if note not in _trust_notes(base))
    notes = (*_trust_notes(folder), f"all other facts are those of its base, {base}", *others)
    found = (*problems, *_quality_problems(folder), *inherited)
    return replace(report, folder=str(folder), adapter_of=named, problems=found, notes=notes)


def _quality_problems(folder: Path) -> list[Problem]:
    """Find what is wrong with the optional files about accuracy and training."""
    problems = []
    for kind, file, read in (("quality", QUALITY_FILE, measured_quality), ("training", TRUST_FILE, training_description)):
        try:
            read(folder)
        except CheckpointError as error:
            problems.append(_problem(kind, file, error))
    return problems


def _trust_notes(folder: Path) -> tuple[str, ...]:
    """Note what a folder tells about the trust in its answers; nothing if a file is broken, which is a problem of its own."""
    if _quality_problems(folder):
        return ()
    (_, calibration), training = measured_quality(folder), training_description(folder)
    words = 0 if training.vocabulary is None else sum(map(len, training.vocabulary.groups.values()))
    facts = (
        "calibrated"
        if calibration.is_fitted
        else "not calibrated (molmo-point eval calibration fits it on your labeled pictures)",
        f"{words} words" if words else "no list of words",
        "familiar images described" if training.familiarity is not None else "familiar images not described",
    )
    return (f"trust: {', '.join(facts)}",)


def _deep_problems(folder: Path, weights: StoredWeights, flavor: Flavor, tokenizer_reads: bool) -> list[Problem]:
    """Find what takes torch and transformers: weights that are not finite, and faults of the generation and the tokenizer."""
    from molmo_point.model.checkpoint.finite_weights import non_finite_problems
    from molmo_point.model.checkpoint.weight_checks import check_generation
    from molmo_point.model.inputs.tokenizer_files import check_tokenizer, read_tokenizer

    problems = non_finite_problems(folder, weights)
    try:
        check_generation(folder)
    except CheckpointError as error:
        problems.append(_problem("generation", "generation_config.json", error))
    head_rows = flavor.embedding_rows or flavor.vocab_size
    try:
        if tokenizer_reads and flavor.family == "molmo2":
            from molmo_point.model.molmo2.molmo2_processor import Molmo2Processor

            Molmo2Processor.from_folder(folder).check_turn()
        if tokenizer_reads and flavor.family != "molmopoint":
            check_tokenizer(read_tokenizer(folder), head_rows + flavor.added_rows, head_rows, folder)
    except CheckpointError as error:
        problems.append(_problem("tokenizer", "tokenizer.json", error))
    return problems


def _problem(kind: str, file: str, error: CheckpointError) -> Problem:
    given = error.given.split(f"{file}: ")[-1]
    return Problem(kind, file, given or error.what, error.fix)


def _read(folder: Path, name: str, kind: str) -> tuple[Any, list[Problem]]:
    """Read a JSON file, or the problem that prevents it."""
    try:
        return read_json(folder / name), []
    except FileNotFoundError:
        return None, [Problem(kind, name, "it is missing", "download it into the same folder")]
    except (ValueError, OSError) as error:
        return None, [Problem(kind, name, words_of(error), _AGAIN)]


def _config(folder: Path) -> tuple[dict[str, Any], Flavor | None, list[Problem]]:
    data, problems = _read(folder, "config.json", "config")
    if problems:
        return {}, None, problems
    try:
        return data, flavor_of(data), []
    except CheckpointError as error:
        given = error.given.removeprefix("config.json: ")
        return {}, None, [Problem("config", "config.json", f"{error.what[0].lower()}{error.what[1:]} ({given})", error.fix)]


def _model(
    folder: Path, weights: StoredWeights, flavor: Flavor | None, notes: list[str], use_torch: bool
) -> tuple[dict[str, tuple[int, ...]], list[Problem]]:
    """Shapes of the model's tensors (empty if it cannot be built), and problems of the stored ones."""
    if flavor is None:
        return {}, []
    if flavor.family != "molmo":
        when = "loading compares them" if flavor.family == "molmo2" else "this package does not run it"
        notes.append(f"tensors of {flavor.title} were not compared with the model: {when}")
        return {}, []
    if not use_torch:
        notes.append("tensors were not compared with the model: torch and transformers are not installed or not used")
        return {}, []
    from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
    from molmo_point.model.architecture.config import load_config
    from molmo_point.model.checkpoint.weight_checks import expected_shapes, misfits

    try:
        config = load_config(folder)
        shapes = expected_shapes(MolmoForCausalLM, config)
    except CheckpointError as error:
        return {}, [Problem("config", "config.json", f"{error.what} ({error.given})", error.fix)]
    if flavor.quantized:
        notes.append(f"tensors were not compared with the model: the weights are quantized ({flavor.quantized})")
        return shapes, []
    return shapes, misfits(weights, shapes, config.num_experts) if weights.tensors else []


def _rows(config: dict[str, Any]) -> int:
    """Count the rows of both embedding tables of Molmo v1; 0 for other models."""
    if config.get("model_type") != "molmo":
        return 0
    rows = config.get("embedding_size") or config.get("vocab_size")
    more = config.get("additional_vocab_size", 128)
    return rows + more if isinstance(rows, int) and isinstance(more, int) else 0


def _tokenizer_problems(folder: Path, rows: int) -> list[Problem]:
    problems = []
    for name in ("tokenizer.json", "tokenizer_config.json"):
        data, unread = _read(folder, name, "tokenizer")
        problems += unread
        if not unread and not isinstance(data, dict):
            problems.append(Problem("tokenizer", name, f"it holds a {type(data).__name__}, not an object", _AGAIN))
        elif not unread and name == "tokenizer.json" and (wrong := _vocabulary_problem(data, rows)):
            problems.append(Problem("tokenizer", name, wrong, "use the tokenizer files of the same checkpoint"))
    return problems


def _vocabulary_problem(data: dict[str, Any], rows: int) -> str:
    if problem := tokenizer_problem(data):
        return problem
    model = data.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids: dict[str, Any] = dict(vocabulary) if isinstance(vocabulary, dict) else {}
    added = data.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict):
            ids[str(token.get("content"))] = token.get("id")
    missing = [token for token in IMAGE_TOKENS if token not in ids]
    if missing:
        return f"it lacks Molmo's image tokens {', '.join(missing)}"
    highest = max((ids[token] for token in IMAGE_TOKENS if isinstance(ids[token], int)), default=0)
    if rows and highest >= rows:
        return f"its image tokens go up to {highest}, but the model has embeddings for {rows} tokens"
    return ""


def _image_settings(
    folder: Path, config: dict[str, Any], flavor: Flavor | None, notes: list[str]
) -> tuple[ImageSettings | None, list[Problem]]:
    name = "preprocessor_config.json"
    if flavor is not None and flavor.family != "molmo":
        missing = not (folder / name).is_file() and not (folder / "processor_config.json").is_file()
        return None, [Problem("image", name, "it is missing", "download it into the same folder")] if missing else []
    try:
        data = read_json(folder / name)
        held = image_settings(data if isinstance(data, dict) else {})
        image = ImageSettings(held["crop_px"], held["patch_px"], held["max_crops"], True)
    except FileNotFoundError:
        notes.append(f"{name} is missing: the image settings of the released checkpoints apply")
        image = ImageSettings(336, 14, 12, False)
    except (ValueError, OSError) as error:
        return None, [Problem("image", name, words_of(error), _AGAIN)]
    vision = config.get("vision_config")
    vision = vision if isinstance(vision, dict) else {}
    wanted = (vision.get("image_size", 336), vision.get("patch_size", 14))
    if flavor is None or (image.crop_px, image.patch_px) == wanted:
        return image, []
    text = f"crops of {image.crop_px} px in patches of {image.patch_px} px, but config.json has {wanted[0]} and {wanted[1]}"
    return image, [Problem("image", name, text, "use config.json and image settings of the same checkpoint")]
