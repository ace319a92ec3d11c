"""The local engine: a model of transformers in this process. Importing this room imports torch."""

from thinkscale.engines.local.engine import LocalEngine
from thinkscale.engines.local.loading import load_model, load_tokenizer
from thinkscale.engines.local.sampling import counter_uniform

__all__ = ["LocalEngine", "counter_uniform", "load_model", "load_tokenizer"]
