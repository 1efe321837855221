"""Lightning Fabric: the loop stays where it is, and Fabric runs its backward passes and sets up what it uses.

    model = Net()                                  fabric = L.Fabric(accelerator="auto", devices=1, ...)
    optimizer = Adam(model.parameters())           ...
    ...                                            model, optimizer = fabric.setup(model, optimizer)
    loss.backward()                                fabric.backward(loss)

For loops that no function can take over (async, generators, class bodies), and for those who keep their own loop.
"""

from lab_migrate.fabric.project import use_fabric

__all__ = ["use_fabric"]
