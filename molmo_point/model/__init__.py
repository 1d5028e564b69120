"""Pixels and words in, words out: Molmo, natively on transformers, without remote code."""

from molmo_point.errors import DependencyError

try:
    import torch as _torch  # noqa: F401
    import transformers as _transformers  # noqa: F401
except ImportError as error:
    raise DependencyError(
        "The model needs torch and transformers", str(error), "pip install 'molmo-point[model]'"
    ) from error

from molmo_point.model.backend import MolmoBackend, load_backend
from molmo_point.model.config import MolmoConfig, MolmoVisionConfig
from molmo_point.model.molmo import MolmoForCausalLM

__all__ = ["MolmoBackend", "MolmoConfig", "MolmoForCausalLM", "MolmoVisionConfig", "load_backend"]
