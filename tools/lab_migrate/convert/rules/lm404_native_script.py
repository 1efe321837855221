"""The script does more than train

Level L3. The script is written anew, and what it does besides reading arguments, loading the config, training and
printing would be lost: calls, settings of other modules (`torch.backends.cudnn.benchmark = True`, `os.environ[…] = …`),
values that it binds itself, a loop of trainings. Move it into a file of its own that the script imports, bind the
values in the gin file, or stay at level L2.
"""

from __future__ import annotations

CODE = "LM404"
LEVELS = {"L3"}
