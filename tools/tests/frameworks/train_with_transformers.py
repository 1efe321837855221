import torch
from transformers import Trainer, TrainingArguments, set_seed


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.1), torch.nn.Linear(16, 3))

    def forward(self, x=None, labels=None):
        logits = self.body(x)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


class Data(torch.utils.data.Dataset):
    def __init__(self, n):
        self.x, self.y = torch.randn(n, 4), torch.randint(0, 3, (n,))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "labels": self.y[i]}


if __name__ == "__main__":
    set_seed(3)
    arguments = TrainingArguments(
        output_dir="out",
        num_train_epochs=3,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        logging_steps=2,
        save_steps=5,
        report_to=[],
        use_cpu=True,
        learning_rate=1e-2,
        eval_strategy="epoch",
    )
    trainer = Trainer(model=Net(), args=arguments, train_dataset=Data(50), eval_dataset=Data(12))
    print(trainer.train().training_loss)
    print([sorted(entry.items())[:3] for entry in trainer.state.log_history if "loss" in entry])
