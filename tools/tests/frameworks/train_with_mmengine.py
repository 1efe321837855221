import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.1), torch.nn.Linear(16, 3))

    def forward(self, x, y, mode):
        logits = self.body(x)
        if mode == "loss":
            return {"loss": torch.nn.functional.cross_entropy(logits, y)}
        return logits, y


torch.manual_seed(0)
data = [{"x": torch.randn(4), "y": torch.randint(0, 3, ())} for _ in range(50)]
runner = Runner(
    model=Net(),
    work_dir="work",
    train_dataloader=dict(
        batch_size=8,
        sampler=dict(type="DefaultSampler", shuffle=True),
        collate_fn=dict(type="default_collate"),
        dataset=data,
    ),
    train_cfg=dict(by_epoch=True, max_epochs=3),
    optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.01), accumulative_counts=2),
    param_scheduler=dict(type="MultiStepLR", by_epoch=True, milestones=[1, 2]),
    randomness=dict(seed=4),
)
runner.train()
