"""gin configs of other frameworks than Lab: their names alone, methods, what the program passes itself."""

from __future__ import annotations

from bridge.tests.config.config_files import Write, errors
from lab_bridge.config import read_config, typed

SOURCE = """
    import gin
    import gin.torch.external_configurables

    @gin.configurable
    class Wrapper:
        def __init__(self, optimizer_fn=gin.REQUIRED, depth=0):
            raise RuntimeError("read, not run")

        @gin.configurable(module="Wrapper")
        def train(self, data, epochs=gin.REQUIRED):
            pass

    @gin.configurable
    def main(log_dir, model=gin.REQUIRED):
        model.train(log_dir)

    if __name__ == "__main__":
        main("runs")
"""
CONFIG = """import gin.torch.external_configurables
main.model = @Wrapper()
Wrapper.optimizer_fn = @Adam
Wrapper.depth = 0.5
Adam.weight_decay = 1e-6
Wrapper.train.epochs = 3
"""


def test_the_names_are_those_of_the_project_and_its_libraries(write: Write) -> None:
    """`Adam` is torch's here, not Lab's; what the caller passes (`log_dir`, `params`) is not missing."""
    folder = write({"train.py": SOURCE, "c.gin": CONFIG})
    document = read_config(folder / "c.gin")
    config = typed(document)
    assert config.model.optimizer_fn.config.weight_decay == 1e-6
    assert config.model.depth == 0.5, "a default of 0 says nothing against a fraction"
    assert [finding.kind for finding in document.findings] == ["elsewhere"], "a method's binding is in no tree"


def test_a_mistake_is_hinted_at_in_the_projects_names(write: Write) -> None:
    """Lab's builders are unknown to a project without Lab."""
    folder = write({"train.py": SOURCE, "c.gin": CONFIG + "SelfAttention.heads = 3\nWraper.depth = 1\n"})
    said = errors(folder / "c.gin")
    assert any("found 'SelfAttention'" in line for line in said)
    assert any("did you mean 'Wrapper'?" in line for line in said)
