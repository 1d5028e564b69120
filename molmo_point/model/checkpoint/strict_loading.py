"""Strict ``from_pretrained`` of transformers, for every way to call it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel

from molmo_point.errors import CheckpointError, DependencyError, InputError, MolmoPointError
from molmo_point.model.architecture.config import MolmoConfig, load_config
from molmo_point.model.checkpoint.adapters import check_adapter, check_applied, is_adapter
from molmo_point.model.checkpoint.finite_weights import FiniteWeights
from molmo_point.model.checkpoint.quantization import (
    allow_cpu_packing,
    check_quantized,
    is_quantized,
    unify_precision,
    warn_once,
    with_default_skips,
)
from molmo_point.model.checkpoint.weight_checks import check_generation, check_weights
from molmo_point.model.checkpoint.weight_files import listed

_KINDS = ("missing_keys", "unexpected_keys", "mismatched_keys")
_OF_LOADING = {"dtype", "torch_dtype", "quantization_config"}
# With one of these, transformers reads other weights than those checked by `check_weights`.
_OTHER_WEIGHTS = ("variant", "gguf_file", "state_dict", "from_tf", "from_flax")


class StrictLoading(FiniteWeights):
    """Strict variant of transformers' loading: every tensor must fit and be finite; quantization spares what must stay.

    Attributes:
        is_whole: True if the class has all tensors of a checkpoint, so that the files can be compared with it.
    """

    is_whole: ClassVar[bool] = False

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any) -> Any:
        """Load weights in eval mode as transformers does, but strictly and without running code of the checkpoint.

        Args:
            pretrained_model_name_or_path: Folder or Hugging Face id of a checkpoint or a PEFT adapter.
            *model_args: Passed on.
            **kwargs: Arguments of ``transformers.PreTrainedModel.from_pretrained``. With ``ignore_mismatched_sizes=True``
                tensors of another shape are initialized randomly; ``output_loading_info=True`` returns the report, too.

        Raises:
            CheckpointError: A file is broken, a tensor is missing, unexpected or of another shape, or the quantization is wrong.
            DependencyError: A library that the arguments need is missing.
            InputError: The arguments ask to unpickle arbitrary objects.
        """
        if kwargs.get("weights_only") is False:
            fix = "omit weights_only: checkpoints are never unpickled"
            raise InputError("weights_only must not be False", "weights_only=False", fix)
        kwargs.pop("trust_remote_code", None)
        with_report = kwargs.pop("output_loading_info", False)
        quantization = with_default_skips(kwargs.pop("quantization_config", None))
        if quantization is not None:
            kwargs["quantization_config"] = quantization
            if not torch.cuda.is_available() and not {"dtype", "torch_dtype"} & {*kwargs}:
                kwargs["dtype"] = torch.float32  # transformers takes float16, in which a CPU is slow and rounds again
        try:
            _check_files(cls, pretrained_model_name_or_path, kwargs)
            adapter = _adapter_folder(pretrained_model_name_or_path, kwargs)
            stored = check_adapter(adapter) if adapter else ()
            loaded: Any = super().from_pretrained(pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs)
            if adapter:
                check_applied(adapter, stored, loaded[0].get_adapter_state_dict())
        except CheckpointError as error:
            raise located(error, pretrained_model_name_or_path) from error
        except MolmoPointError:
            raise
        except Exception as error:  # files, shapes, libraries and the hub raise many kinds with three meanings
            raise loading_error(error, pretrained_model_name_or_path) from error
        model, report = loaded
        refuse_wrong_keys(report, pretrained_model_name_or_path, bool(kwargs.get("ignore_mismatched_sizes")))
        if is_quantized(model):
            check_quantized(model)
            unify_precision(model)
            allow_cpu_packing(model, False)
            warn_once()
        # Files saved from here must not refer to the code of the source checkpoint.
        vars(model.config).pop("auto_map", None)
        return (model, report) if with_report else model

    @staticmethod
    def _finalize_model_loading(model: Any, load_config: Any, loading_info: Any) -> Any:
        # A base model below an adapter is not part of the final report, so it is checked here, before the
        # base class initializes missing tensors and logs them.
        source = load_config.pretrained_model_name_or_path
        refuse_wrong_keys(vars(loading_info), source, load_config.ignore_mismatched_sizes)
        return PreTrainedModel._finalize_model_loading(model, load_config, loading_info)


def _check_files(model_class: type[StrictLoading], source: Any, options: Mapping[str, Any]) -> None:
    """Find broken files of a local folder before transformers, whose errors do not name them."""
    if any(options.get(name) for name in _OTHER_WEIGHTS) or options.get("use_safetensors") is False:
        return
    folder = Path(source, options.get("subfolder") or "") if isinstance(source, (str, Path)) else None
    if folder is None or not folder.is_dir() or (folder / "adapter_config.json").is_file():
        return
    config = options.get("config")
    known = load_config(folder) if config is None else config
    # Options that are fields of the configuration change the model; options of loading do not.
    changed = config is None and bool(({*options} - _OF_LOADING) & {*known.to_dict()})
    whole = model_class.is_whole and isinstance(known, MolmoConfig)
    comparable = whole and not changed and getattr(known, "quantization_config", None) is None
    check_weights(folder, model_class, known if comparable else None, bool(options.get("ignore_mismatched_sizes")))
    check_generation(folder)


def _adapter_folder(source: Any, options: Mapping[str, Any]) -> Path | None:
    """Return the local folder if it holds an adapter."""
    folder = Path(source, options.get("subfolder") or "") if isinstance(source, (str, Path)) else None
    return folder if folder is not None and is_adapter(folder) else None


def refuse_wrong_keys(report: Mapping[str, Any], source: Any, ignore_shapes: bool = False) -> None:
    """Raise one CheckpointError that names the tensors in transformers' report of a loading, if there are any."""
    named = []
    for kind in _KINDS[:2] if ignore_shapes else _KINDS:
        keys = sorted(map(_key_text, report.get(kind) or ()))
        if keys:
            named.append(f"{kind.replace('_', ' ')}: {listed(keys, 5)}")
    if named:
        fix = "use config.json and weights of the same checkpoint"
        raise CheckpointError("The weights must match the configuration", f"{source}: {'; '.join(named)}", fix)


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    name, found, wanted = key
    return f"{name} (is {tuple(found)}, must be {tuple(wanted)})"


def located(error: CheckpointError, source: Any) -> CheckpointError:
    """Put the checkpoint's name before what was given, unless it is there."""
    given = error.given if str(source) in error.given else f"{source}: {error.given}"
    return CheckpointError(error.what, given, error.fix)


def loading_error(error: Exception, source: Any) -> MolmoPointError:
    """Convert an error of the libraries while loading to one of ours."""
    text = str(error)
    if isinstance(error, ImportError):
        return DependencyError("Loading needs a library that is missing", text, "install it with pip")
    if "unexpected keyword argument" in text:
        return InputError("Arguments must be those of transformers' from_pretrained", text, "see its documentation")
    if isinstance(error, torch.OutOfMemoryError):
        fix = "pass quantization_config=default_quantization('nf4'), dtype='bfloat16' or device_map='auto'"
        return CheckpointError("The model must fit into the memory of the device", f"{source}: {text}", fix)
    if "named symbol not found" in text or "no kernel image" in text:
        fix = "build bitsandbytes on this device, with COMPUTE_CAPABILITY set to the GPU's"
        return DependencyError("bitsandbytes must have kernels for the GPU", text, fix)
    return CheckpointError("The weights cannot be loaded", f"{source}: {text}", "download the checkpoint's files again")
