"""Makes the Auto classes of transformers know Molmo v1, so that nobody has to trust code from a checkpoint."""

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.inputs.molmo_processor import MolmoProcessor


def register() -> None:
    """Registers configuration, model and processor for ``model_type`` "molmo"; again does no harm.

    Done whenever a name of `molmo_point.model` is first used that needs torch. From then on
    ``AutoConfig``, ``AutoModelForImageTextToText``, ``AutoModelForCausalLM`` and ``AutoProcessor`` load the
    released folders with these classes; ``auto_map`` entries in the folders are not followed, even with
    ``trust_remote_code=True``.
    """
    AutoConfig.register(MolmoConfig.model_type, MolmoConfig, exist_ok=True)
    AutoModelForImageTextToText.register(MolmoConfig, MolmoForCausalLM, exist_ok=True)
    # the released config.json names this one in its auto_map, and so do the scripts that people have
    AutoModelForCausalLM.register(MolmoConfig, MolmoForCausalLM, exist_ok=True)
    AutoProcessor.register(MolmoConfig, MolmoProcessor, exist_ok=True)
