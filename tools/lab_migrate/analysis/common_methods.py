"""Methods that so many classes have that a name alone says nothing."""

__all__ = ["COMMON"]

COMMON = frozenset([
    "add", "append", "apply", "backward", "build", "call", "children", "clear", "clone", "close", "copy", "cpu",
    "cuda", "debug", "detach", "display", "error", "eval", "exception", "extend", "filter", "flush", "format",
    "forward", "get", "infer", "info", "init", "insert", "item", "items", "iter", "join", "keys", "load",
    "load_state_dict", "log", "map", "max", "mean", "min", "modules", "named_parameters", "next", "numpy", "open",
    "parameters", "parse", "pop", "print", "put", "read", "record", "register", "remove", "render", "report",
    "reset", "reshape", "result", "save", "send", "set", "set_epoch", "setup", "size", "sleep", "sort", "split",
    "start", "state_dict", "step", "stop", "sub", "sum", "summary", "to", "tolist", "train", "update", "values",
    "view", "wait", "warning", "write", "zero", "zero_grad",
])  # fmt: skip
