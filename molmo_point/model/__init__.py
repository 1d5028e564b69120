"""Molmo and Molmo2 on transformers, without remote code.

The names below import torch and transformers on first use.
"""

from importlib import import_module
from typing import Any

from molmo_point.dependencies import require

_LAZY = {
    "Molmo": "molmo_point.model.architecture.causal_lm",
    "MolmoBackend": "molmo_point.model.molmo_backend",
    "MolmoConfig": "molmo_point.model.architecture.config",
    "MolmoForCausalLM": "molmo_point.model.architecture.causal_lm",
    "MolmoProcessor": "molmo_point.model.inputs.molmo_processor",
    "MolmoVisionConfig": "molmo_point.model.architecture.config",
    "default_quantization": "molmo_point.model.checkpoint.quantization",
    "load_backend": "molmo_point.model.load",
    "register": "molmo_point.model.registration",
}

__all__ = [*_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'molmo_point.model' has no attribute {name!r}; it has {', '.join(__all__)}")
    for package in ("torch", "transformers"):
        require(package, "The model", "model")
    import_module("molmo_point.model.registration").register()
    return getattr(import_module(_LAZY[name]), name)
