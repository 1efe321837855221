"""Configs as typed trees: gin, YAML and others in, attrs classes between, YAML that LightningCLI takes and gin out.

    from lab_bridge.config import read_config, typed, write_yaml

    document = read_config(Path("digits_vae.gin"))
    config = typed(document)             # Trainer(model=Model(input_shape=(1, 8, 8), blocks=(Conv(channels=16, …
    print(write_yaml(document))

Reading imports nothing of the config's project: builders are known from their sources.
"""

from lab_bridge.config.documents import Document
from lab_bridge.config.front import from_gin_text, read_config, typed, write_gin, write_yaml
from lab_bridge.config.problems import ConfigErrors, Problem, Severity

__all__ = [
    "ConfigErrors",
    "Document",
    "Problem",
    "Severity",
    "from_gin_text",
    "read_config",
    "typed",
    "write_gin",
    "write_yaml",
]
