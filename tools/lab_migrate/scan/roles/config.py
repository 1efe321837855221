"""Where settings come from: command lines, files, builders"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import RoleUse
from lab_migrate.scan.syntax import SourceFile

CLASSES = ("yacs.config.CfgNode", "fvcore.common.config.CfgNode")
BUILDERS = (
    "argparse.ArgumentParser", "configargparse.*Parser", "configargparse.ArgParser", "simple_parsing.*",
    "tap.Tap", "docopt.docopt", "gin.parse_config*", "gin.configurable", "gin.external_configurable",
    "gin.register", "gin.bind_parameter", "yacs.config.CfgNode", "hydra.main", "hydra.utils.instantiate",
    "hydra.compose", "hydra.initialize*", "omegaconf.OmegaConf.*", "yaml.*load", "ruamel.yaml.*", "json.load",
    "toml.load", "tomllib.load", "ml_collections.ConfigDict", "ml_collections.config_dict.ConfigDict",
    "ml_collections.config_flags.*", "absl.flags.DEFINE_*", "fire.Fire", "typer.Typer", "click.command",
    "click.option", "transformers.HfArgumentParser", "jsonargparse.*", "mmcv.Config.fromfile",
    "mmengine.Config.fromfile", "mmengine.config.Config.fromfile", "sacred.Experiment",
    "fvcore.common.config.CfgNode", "detectron2.config.*", "tyro.cli", "draccus.*", "pyhocon.*",
    "attrdict.AttrDict", "easydict.EasyDict", "addict.Dict",
)  # fmt: skip


def find(file: SourceFile) -> Iterator[RoleUse]:
    """Decorators, which are no calls where they take no arguments, and files that are executed."""
    for node in (*file.every(ast.FunctionDef), *file.every(ast.ClassDef)):
        assert isinstance(node, ast.FunctionDef | ast.ClassDef)
        for decorator in node.decorator_list:
            name = file.name(decorator)
            if name.startswith("gin.") or name in ("hydra.main", "click.command", "draccus.wrap"):
                yield RoleUse("config", file.path, decorator.lineno, name)
    for call in file.calls("exec"):
        if isinstance(call.func, ast.Name) and any(
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Name | ast.Attribute)
            and "open" in ast.unparse(inner.func)
            for argument in call.args
            for inner in ast.walk(argument)
        ):
            yield RoleUse("config", file.path, call.lineno, "exec(open(…))", ("a file is executed over the globals",))
