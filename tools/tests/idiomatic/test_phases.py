"""Loops over the phases of an epoch: written out, the training's phase becomes training_step, the other validation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten, run

#: The tutorial shuffles its validation, which Lightning warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Your `val_dataloader`'s sampler has shuffling")

Same = Callable[..., str]
Resumes = Callable[[str], None]

#: PyTorch's tutorial on transfer learning, in short, and the thousand programs that come of it.
TUTORIAL = """
    import copy

    dataloaders = {x: DataLoader(data, batch_size=4, shuffle=True, num_workers=0)
                   for x in ['train', 'val']}
    dataset_sizes = {x: len(data) for x in ['train', 'val']}
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


    def train_model(model, criterion, optimizer, scheduler, num_epochs=25):
        best_model_wts = copy.deepcopy(model.state_dict())
        best_acc = 0.0

        for epoch in range(num_epochs):
            print('Epoch {}/{}'.format(epoch, num_epochs - 1))

            # Each epoch has a training and validation phase
            for phase in ['train', 'val']:
                if phase == 'train':
                    model.train()  # Set model to training mode
                else:
                    model.eval()   # Set model to evaluate mode

                running_loss = 0.0
                running_corrects = 0

                # Iterate over data.
                for inputs, labels in dataloaders[phase]:
                    inputs = inputs.to(device)
                    labels = labels.to(device)

                    # zero the parameter gradients
                    optimizer.zero_grad()

                    # forward
                    with torch.set_grad_enabled(phase == 'train'):
                        outputs = model(inputs)
                        _, preds = torch.max(outputs, 1)
                        loss = criterion(outputs, labels)

                        # backward + optimize only if in training phase
                        if phase == 'train':
                            loss.backward()
                            optimizer.step()

                    # statistics
                    running_loss += loss.item() * inputs.size(0)
                    running_corrects += torch.sum(preds == labels.data)
                if phase == 'train':
                    scheduler.step()

                epoch_loss = running_loss / dataset_sizes[phase]
                epoch_acc = running_corrects.double() / dataset_sizes[phase]

                print(f'{phase} Loss: {epoch_loss:.4f} Acc: {epoch_acc:.4f}')

                # deep copy the model
                if phase == 'val' and epoch_acc > best_acc:
                    best_acc = epoch_acc
                    best_model_wts = copy.deepcopy(model.state_dict())

            print()

        print(f'Best val Acc: {best_acc:4f}')
        model.load_state_dict(best_model_wts)
        return model


    model_ft = Net()
    model_ft.outer = nn.Linear(8, 3)
    model_ft = model_ft.to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer_ft = torch.optim.SGD(model_ft.parameters(), lr=0.1, momentum=0.9)
    exp_lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer_ft, step_size=2, gamma=0.1)
    model_ft = train_model(model_ft, criterion, optimizer_ft, exp_lr_scheduler, num_epochs=4)
    print(sum(value.double().sum() for value in model_ft.state_dict().values()))
"""

MAIN = """
    def main():
        train_loader, val_loader = DataLoader(data, batch_size=4, shuffle=True), DataLoader(data, batch_size=8)
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=1.0)
        best_loss, patience = float("inf"), 0
        phases = ("train", "val")
        for epoch in range(1, 6):
            for phase in phases:
                is_train = phase == "train"
                if is_train:
                    model.train()
                    loader = train_loader
                else:
                    model.eval()
                    loader = val_loader
                total = 0
                for step, (x, y) in enumerate(loader):
                    with torch.set_grad_enabled(is_train):
                        loss = F.cross_entropy(model(x), y)
                    if is_train:
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                    total += loss.item()
                    if is_train and step % 2 == 0:
                        print(f"[{phase}] epoch {epoch} step {step} loss {loss.item():.4f}")
                epoch_loss = total / len(loader)
                print(f"{phase.capitalize()} {epoch_loss:.4f} {phase + '_loss'} {optimizer.param_groups[0]['lr']}")
                if phase == "val":
                    scheduler.step(epoch_loss)
                    if epoch_loss < best_loss:
                        best_loss, patience = epoch_loss, 0
                    else:
                        patience += 1
            if patience > 1:
                print("early stop")
                break
        print(best_loss)

    main()
"""

CLASS = """
    class Learner:
        def __init__(self, model, loaders, optimizer):
            self.model, self.loaders, self.optimizer = model, loaders, optimizer
            self.criterion = nn.CrossEntropyLoss()
            self.best = 9.0

        def fit(self, epochs):
            for epoch in range(epochs):
                for phase in ["train", "valid", "test"]:
                    if phase == "train":
                        self.model.train()
                    elif phase == "valid":
                        self.model.eval()
                    else:
                        self.model.eval()
                    losses = []
                    for inputs, targets in self.loaders[phase]:
                        self.optimizer.zero_grad()
                        with torch.set_grad_enabled(phase == "train"):
                            loss = self.criterion(self.model(inputs), targets)
                            if phase == "train":
                                loss.backward()
                                self.optimizer.step()
                        losses.append(loss.item())
                    mean = sum(losses) / len(losses)
                    print("%s %d: %.4f" % (phase, epoch, mean))
                    if phase == "valid" and mean < self.best:
                        self.best = mean

    loaders = {"train": DataLoader(data, batch_size=4, shuffle=True), "valid": DataLoader(data, batch_size=8)}
    loaders = {**loaders, "test": DataLoader(data, batch_size=11)}
    model = Net()
    learner = Learner(model, loaders, torch.optim.SGD(model.parameters(), lr=0.1))
    learner.fit(3)
    print(learner.best)
"""


@pytest.mark.parametrize("body", [TUTORIAL, MAIN, CLASS], ids=["tutorial", "main", "class"])
def test_phases_become_training_and_validation(body: str, same: Same, resumes: Resumes) -> None:
    """The same bits, also of a training that goes on from a checkpoint."""
    after = same(body)
    assert "phase" not in after.replace("phase in ['train', 'val']", "").replace("training and validation phase", "")
    assert "def validation_step" in after
    resumes(after)


def test_the_tutorial_reads_as_lightnings() -> None:
    """No phase, no gradient mode, no zeroing: what is left of a batch is the loss and its figures."""
    after = rewritten(program(TUTORIAL)).text
    assert (
        """
    def validation_step(self, batch, batch_idx):
        inputs, labels = batch
        outputs = self.model(inputs)
        _, preds = torch.max(outputs, 1)
        loss = self.criterion(outputs, labels)

        # statistics
        self.running_loss += loss.item() * inputs.size(0)
        self.running_corrects += torch.sum(preds == labels.data)

    def on_validation_epoch_end(self):
        epoch_loss = self.running_loss / dataset_sizes['val']
        epoch_acc = self.running_corrects.double() / dataset_sizes['val']

        print(f'val Loss: {epoch_loss:.4f} Acc: {epoch_acc:.4f}')

        # deep copy the model
        if epoch_acc > self.best_acc:
            self.best_acc = epoch_acc
            self.best_model_wts = copy.deepcopy(self.model.state_dict())

    def on_train_epoch_end(self):
        print()
"""
        in after
    )
    assert "return [self.optimizer], [self.scheduler]" in after
    assert 'trainer.fit(lit, dataloaders["train"], dataloaders["val"])' in after


def test_bytes_outside_of_the_loop_stay() -> None:
    """Line ends, comments and quotes."""
    text = program(TUTORIAL).replace("\n", "\r\n")
    after = rewritten(text).text
    kept = text[text.index("class Net") : text.index("def train_model")]
    assert "LightningModule" in after
    assert kept in after
    assert "\n" not in after.replace("\r\n", "")


REFUSED = {
    "`continue` in the loop over phase": (
        "                if phase == 'train':\n                    model.train()",
        "                if phase == 'val' and epoch % 2:\n                    continue\n"
        "                if phase == 'train':\n                    model.train()",
    ),
    "phase is read outside of its loop": ("            print()\n", "            print(phase)\n"),
    "a function made in the loop over phase reads it": (
        "                running_loss = 0.0\n",
        "                running_loss = 0.0\n                name = lambda: phase\n",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_written_out_is_refused(reason: str) -> None:
    """With its reason."""
    before, after = REFUSED[reason]
    assert TUTORIAL.count(before) == 1, TUTORIAL.count(before)
    found = rewritten(program(TUTORIAL.replace(before, after)))
    assert any(reason in message for message in found.messages), found.messages


def test_a_refusal_names_the_files_own_line(tmp_path: object) -> None:
    """What is refused in the text without phases stands where the file has it."""
    from pathlib import Path

    from lab_migrate.convert import convert_project

    text = program(TUTORIAL.replace("        return model\n", "        return model, running_loss\n"))
    text = text.replace(
        "loss = criterion(outputs, labels)\n", "loss = criterion(outputs, labels)\n" + " " * 20 + "return\n", 1
    )
    folder = Path(str(tmp_path))
    (folder / "train.py").write_text(text)
    (found,) = [one for one in convert_project(folder, tier="idiomatic").findings if one.code == "LM302"]
    assert text.splitlines()[found.line - 1].strip() == "return"


def test_phases_of_a_program_that_is_run_twice(same: Same) -> None:
    """A function that trains two models, one after the other."""
    again = TUTORIAL.replace(
        "    print(sum(value",
        "    other = Net()\n"
        "    optimizer = torch.optim.Adam(other.outer.parameters(), lr=0.1)\n"
        "    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)\n"
        "    train_model(other, criterion, optimizer, schedule, num_epochs=2)\n"
        "    print(sum(value",
    )
    assert "return [self.optimizer], [self.scheduler]" in same(again)


def test_run_prints_the_same_names() -> None:
    """A name in a text of its own quotes, in a format and in a key."""
    body = MAIN.replace(
        'print(f"{phase.capitalize()}',
        "print('{:>8}|{}'.format(phase, phase.upper()), f\"{phase:>8} {dict(train=1, val=2)[phase]}\")\n"
        '                print(f"{phase.capitalize()}',
    )
    text = program(body)
    after = rewritten(text)
    assert "LM301" in after.codes, after.messages
    assert run(after.text) == run(text)
