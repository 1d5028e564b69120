"""Registration of Molmo v1 with the Auto classes of transformers, so that no remote code is needed."""

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.inputs.molmo_processor import MolmoProcessor


def register() -> None:
    """Register configuration, model and processor for ``model_type`` "molmo"; repeated calls are harmless.

    The first use of a name of `molmo_point.model` calls this. The Auto classes then load the released folders with these
    classes, and ignore ``auto_map`` entries, even with ``trust_remote_code=True``.
    """
    AutoConfig.register(MolmoConfig.model_type, MolmoConfig, exist_ok=True)
    AutoModelForImageTextToText.register(MolmoConfig, MolmoForCausalLM, exist_ok=True)
    # The auto_map of the released config.json and existing scripts use this class.
    AutoModelForCausalLM.register(MolmoConfig, MolmoForCausalLM, exist_ok=True)
    AutoProcessor.register(MolmoConfig, MolmoProcessor, exist_ok=True)
