"""Handing the trainings of an entry point to Fabric, file by file."""

from __future__ import annotations

import ast
from collections.abc import Collection

from lab_migrate.analysis import CallGraph, Module, Project, TrainingLoop
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit
from lab_migrate.fabric.branches import Arms, arms_of, certain, exclusive
from lab_migrate.fabric.choice import Choice, choice_of, devices_made, first_need, moves_to_cuda
from lab_migrate.fabric.clip import clip_edits
from lab_migrate.fabric.devices import accelerator_of
from lab_migrate.fabric.save import states_saved
from lab_migrate.fabric.setup import (
    Place,
    is_changed,
    is_torchs,
    iterated,
    made_again,
    makers,
    models_of,
    shares_its_line,
    stepped,
    whole,
)
from lab_migrate.fabric.wrapped import Looks, own_wrapper
from lab_migrate.findings import Finding, Status
from lab_migrate.outline import Outlining

_WIDTH = 110
NEXT = "make the optimizer from model.parameters() by a plain assignment in this file, or convert it by hand"


def use_fabric(project: Project, graph: CallGraph, loops: Collection[TrainingLoop]) -> Outlining:
    """Edits that hand these loops to Fabric; a file whose optimizers cannot be found is left, with its reason."""
    edits: dict[str, tuple[Edit, ...]] = {}
    findings: list[Finding] = []
    accelerator = accelerator_of(project.modules.values())
    for path in sorted({loop.path for loop in loops}):
        module = project.modules[path]
        here = [loop for loop in loops if loop.path == path]
        if any(full.startswith("lightning") for full in module.symbols.imports.values()):
            continue
        made = _File(module, here, graph, accelerator)
        reason = made.read()
        if reason is None:
            try:
                compile(apply(module.text, made.edits, path), path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                reason = here[0].line, f"rewritten, it would not compile: {error}"
        if reason is not None:
            line, message = reason
            message = f"training loop not handed to Fabric: {message}"
            findings.append(Finding(path, line, 1, "LM311", Status.UNSUPPORTED, message, NEXT))
            continue
        edits[path] = tuple(made.edits)
        findings += made.findings
    return Outlining(edits, {path: project.modules[path] for path in edits}, tuple(sorted(findings)), tuple(loops))


class _File:
    """One file's edits."""

    def __init__(self, module: Module, loops: list[TrainingLoop], graph: CallGraph, accelerator: str) -> None:
        self.module, self.loops, self.graph, self.accelerator = module, loops, graph, accelerator
        self.edits: list[Edit] = []
        self.findings: list[Finding] = []
        self.choice = Choice(None, "")
        names = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
        self.fabric = next(name for name in ("fabric", "lightning_fabric", "fabric_") if name not in names)
        self.lightning = next(name for name in ("L", "lightning", "lightning_") if name not in names)

    def read(self) -> tuple[int, str] | None:
        """Collect the edits; the line and the reason where that is not possible."""
        places: dict[int, tuple[Place, list[str]]] = {}
        clips: list[tuple[TrainingLoop, str, Place, str]] = []
        for loop in self.loops:
            if loop.by_hand:
                return loop.line, f"no optimizer steps: {loop.step[0].place} updates the parameters by hand"
            backward = [reach for reach in loop.backward if reach.path == self.module.path]
            if not backward:
                return loop.line, "its backward pass stands in another file"
            for reach in backward:
                call = reach.event.node
                if isinstance(call, ast.Call) and "autograd" in dotted(call.func).split("."):
                    return call.lineno, f"{dotted(call.func)} takes its gradients, where Fabric runs a loss's backward"
            names = stepped(loop)
            if not names:
                return loop.line, "its optimizer steps in another function"
            for name in names:
                found = makers(name, loop.owner, self.graph)
                if not found or any(place.function.module is not self.module for place in found):
                    return loop.line, f"where {name} is made cannot be told"
                for place in found:
                    if not is_torchs(place, self.graph):
                        return place.statement.lineno, f"{name} is no torch optimizer, and Fabric takes no other"
                    models = whole(models_of(place), place, self.graph)
                    if not models:
                        return place.statement.lineno, f"which model {name} updates cannot be told"
                    places[id(place.statement)] = (place, models)
                if len(found) == 1 and len(models_of(found[0])) == 1:
                    clips.append((loop, name, found[0], models_of(found[0])[0]))
            self._loaders(loop)
        reason = own_wrapper({model for _, models in places.values() for model in models}, self.module, self.graph)
        reason = reason or self._setups(list(places.values()))
        if reason is not None:
            return reason
        looks = Looks(list(places.values()), self.graph, self.module.path)
        if looks.reason is not None:
            return looks.reason
        self.edits += looks.edits
        self._backwards()
        self._devices({id(place.function): place.function for place, _ in places.values()})
        self._whole_models({model for _, models in places.values() for model in models})
        for loop, name, place, model in clips:
            self.edits += clip_edits(loop, name, place, model, self.fabric, self.graph)
        self._saves()
        self._head()
        for loop in self.loops:
            self._say(loop.line, "runs as it is, its backward passes by Fabric")
        return None

    # ---- edits

    def _after(self, statement: ast.stmt, line: str) -> None:
        module = self.module
        text = module.lines[statement.lineno - 1].decode()
        indent = text[: len(text) - len(text.lstrip())]
        last = statement.end_lineno or statement.lineno
        newline = "\r\n" if module.lines[0].endswith(b"\r\n") else "\n"
        at = module.offset(last, 0) + len(module.lines[last - 1])
        before = "" if module.lines[last - 1].endswith((b"\n", b"\r")) else newline
        self.edits.append(Edit(at, at, f"{before}{indent}{line}{newline}"))

    def _setups(self, places: list[tuple[Place, list[str]]]) -> tuple[int, str] | None:
        for place, models in places:
            if shares_its_line(place):
                return place.statement.lineno, "its optimizer is made in the line of what holds it"
            again = made_again(place, models)
            if again:
                return place.statement.lineno, f"a loop makes its optimizer again, and {again} stays the same one"
        shared: dict[str, list[Place]] = {}
        for place, models in places:
            for model in models:
                shared.setdefault(model, []).append(place)
        done: dict[str, list[Place]] = {}
        for place, models in sorted(places, key=lambda item: item[0].statement.lineno):
            due = []
            for model in models:
                before = done.get(model, [])
                if _is_set_up(place, before):
                    continue
                if any(not _is_other_branch(place, other) for other in before):
                    at = place.statement.lineno
                    return at, f"whether {model} has been set up before line {at} depends on an earlier branch"
                done.setdefault(model, []).append(place)
                due.append(model)
            pair = f"{models[0]}, {place.name}"
            if due == models[:1] == models and all(
                other is place or _is_other_branch(place, other) for other in shared[models[0]]
            ):
                self._after(place.statement, f"{pair} = {self.fabric}.setup({pair})")
                continue
            lines = [f"{model} = {self.fabric}.setup_module({model})" for model in due]
            lines.append(f"{place.name} = {self.fabric}.setup_optimizers({place.name})")
            for line in lines:
                self._after(place.statement, line)
        return None

    def _loaders(self, loop: TrainingLoop) -> None:
        for name in iterated(loop):
            for place in makers(name, loop.owner, self.graph):
                words = {word.arg for word in place.call.keywords}
                plain = dotted(place.call.func).endswith("DataLoader") and not words & {
                    "sampler",
                    "batch_sampler",
                    "collate_fn",  # Fabric would make its batches anew: what a class of their own adds is lost
                    None,
                }
                line = f"{place.name} = {self.fabric}.setup_dataloaders({place.name})"
                plain = plain and not is_changed(place.name, self.graph)
                if plain and place.function.module is self.module and not any(line in edit.text for edit in self.edits):
                    self._after(place.statement, line)

    def _backwards(self) -> None:
        seen: set[int] = set()
        for loop in self.loops:
            for reach in loop.backward:
                call = reach.event.node
                if reach.path != self.module.path or id(call) in seen or not isinstance(call, ast.Call):
                    continue
                seen.add(id(call))
                assert isinstance(call.func, ast.Attribute)
                loss = self.module.source(call.func.value)
                start, end = self.module.start(call), self.module.end(call.func)
                bracket = self.module.text.encode().index(b"(", end) + 1
                more = ", " if call.args or call.keywords else ""
                self.edits.append(Edit(start, bracket, f"{self.fabric}.backward({loss}{more}"))

    def _devices(self, functions: dict[int, Function]) -> None:
        """`device = …` is Fabric's, and so is a `.cuda()`."""
        top = self.module.symbols.top
        made = devices_made(list({**functions, id(top): top}.values()))
        lines = [self.module.text.encode().count(b"\n", 0, edit.start) + 1 for edit in self.edits]
        self.choice = choice_of(self.module, made, first_need(self.module, lines), self.accelerator)
        for node in made:
            if node is self.choice.after:
                continue
            start, end = self.module.start(node.value), self.module.end(node.value)
            self.edits.append(Edit(start, end, f"{self.fabric}.device"))
        for line, text in self.choice.ignored:
            message = f"the device is Fabric's, whatever `{' '.join(text.split())}` says"
            self._say(line, message, f"choose the accelerator where {self.fabric} is made")
        for move in moves_to_cuda(self.module):
            assert isinstance(move.func, ast.Attribute)
            start, end = self.module.end(move.func.value), self.module.end(move)
            self.edits.append(Edit(start, end, f".to({self.fabric}.device)"))

    def _whole_models(self, models: set[str]) -> None:
        """A model that is saved whole is saved without Fabric's wrapper."""
        for node in ast.walk(self.module.tree):
            saves = isinstance(node, ast.Call) and dotted(node.func) == "torch.save"
            if isinstance(node, ast.Call) and saves and node.args and dotted(node.args[0]) in models:
                at = self.module.end(node.args[0])
                self.edits.append(Edit(at, at, ".module"))

    def _saves(self) -> None:
        """What stays as it is, and where Fabric's own would differ."""
        saves = states_saved(self.module)
        if saves:
            self._say(
                saves[0].lineno,
                f"torch.save stays{_others(saves[1:])}, and writes the same file: {self.fabric}.save writes plain "
                "dictionaries, without the versions of a state dict (_metadata); for several devices, save where "
                f"{self.fabric}.is_global_zero holds",
            )
        if any(
            isinstance(node, ast.With) and "autocast" in ast.unparse(node.items[0])
            for node in ast.walk(self.module.tree)
        ):
            self._say(
                self.loops[0].line, "autocast stays in the loop: Fabric's precision casts what the model is given, too"
            )

    def _head(self) -> None:
        newline = "\r\n" if self.module.lines[0].endswith(b"\r\n") else "\n"
        imports = []
        for node in self.module.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                break
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
        first = min(edit.start for edit in self.edits)
        if self.choice.after is not None:
            first = min(first, self.module.start(self.choice.after))
        imports = [node for node in imports if self.module.end(node) <= first]
        name = f" as {self.lightning}" if self.lightning != "lightning" else ""
        lines = [
            f"import lightning{name}",
            "from lightning.fabric.plugins.environments import LightningEnvironment",
        ]
        settings = f"{self.choice.settings}, plugins=LightningEnvironment()"
        made = f"{self.fabric} = {self.lightning}.Fabric({settings})"
        if len(made) > _WIDTH:
            made = f"{self.fabric} = {self.lightning}.Fabric({newline}    {settings}{newline})"
        if self.choice.after is None:
            lines += ["", made]
        else:
            self._after(self.choice.after, made)
        if self.accelerator == "cpu":
            self._say(
                self.loops[0].line,
                'trains on the CPU, as it did: accelerator="auto" takes a GPU, which rounds otherwise',
            )
        last = (imports[-1].end_lineno or imports[-1].lineno) if imports else 0
        at = self.module.offset(last + 1, 0)
        self.edits.append(Edit(at, at, newline.join([*lines, ""])))

    def _say(self, line: int, message: str, then: str = "verify it with --verify and your own command") -> None:
        self.findings.append(Finding(self.module.path, line, 1, "LM310", Status.REVIEW, message, then))


def _others(saves: list[ast.Call]) -> str:
    lines = ", ".join(str(node.lineno) for node in saves[:5])
    return f" (and in line {lines})" if saves else ""


def _is_set_up(place: Place, before: list[Place]) -> bool:
    """Whether one of the places before has run for certain; in another function it is taken to have."""
    if any(other.function is not place.function for other in before):
        return True
    return certain([_arms(other) for other in before], _arms(place))


def _is_other_branch(place: Place, other: Place) -> bool:
    return other.function is place.function and exclusive(_arms(place), _arms(other))


def _arms(place: Place) -> Arms:
    return arms_of(place.function, place.statement)
