"""A training loop was handed to Lightning Fabric

`--target fabric`, or `--tier auto` for a loop that no function can take over. The loop stays, byte for byte, but for
its backward passes, which are `fabric.backward(loss)`; models and optimizers go through `fabric.setup` where they are
made, plain DataLoaders through `fabric.setup_dataloaders`; a clip of all that an optimizer holds is
`fabric.clip_gradients`. Fabric is made with the device that the program chooses (`device = torch.device(…)`, or `if
opt.cuda:` around its `.cuda()`), after that choice where it stands at the file's top; else below the imports, and a
choice that it passes over is told. A save of states stays `torch.save`, since `fabric.save` writes plain dictionaries
without torch's `_metadata`, the versions of a state's modules; with several devices, save where `fabric.is_global_zero`
holds. An autocast stays: Fabric's precision would cast what the model is given as well.
"""

from __future__ import annotations

CODE = "LM310"
LEVELS = {"L1", "L2"}
