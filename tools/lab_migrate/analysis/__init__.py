"""Reading a project's training code without running it: functions, calls across files, scopes, training loops.

    project = read_project(Path("their_code"))
    for loop in find_loops(project):
        print(loop.place, loop.function, loop.shape, loop.backward[0].chain)

Everything is built on `ast`; positions are lines (from 1) and byte columns of the UTF-8 text, as `ast` gives them.
"""

from lab_migrate.analysis.calls import CallGraph
from lab_migrate.analysis.events import Event
from lab_migrate.analysis.loops import declared_loops, find_loops
from lab_migrate.analysis.sources import Module, Project, Unread, read_project
from lab_migrate.analysis.symbols import Class, Function
from lab_migrate.analysis.training_loop import Reach, Shape, TrainingLoop

__all__ = [
    "CallGraph",
    "Class",
    "Event",
    "Function",
    "Module",
    "Project",
    "Reach",
    "Shape",
    "TrainingLoop",
    "Unread",
    "declared_loops",
    "find_loops",
    "read_project",
]
