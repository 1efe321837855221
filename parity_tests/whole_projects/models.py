"""Models with the objectives and datasets that fit them."""

from __future__ import annotations

from semantics.test_adversarial import GAN
from whole_projects.drawn import Drawn

ACTIVATIONS = ("relu", "silu", "tanh")


def vector(d: Drawn) -> None:
    """Blobs through a perceptron; batches of any form; losses that are not numbers, teachers, running baselines."""
    if d.one_of(False, True):
        chosen = d.several(("Linear", "Norm", "Activation", "Residual", "FiLM"), 6)
        d.say(
            f"Model.blocks = [@stem/Linear(), {''.join(f'@{name}(), ' for name in chosen)}@head/Linear()]",
            "stem/Linear.features = 8",
            "stem/Linear.tap = 'z'",
            "Linear.features = 8",
            "Residual.layers = [@Norm(), @Linear(), @Activation()]",
        )
        d.setting("Norm.kind", "layer", "group")
        d.setting("Activation.kind", *ACTIVATIONS)
    d.setting("Activation.dropout", 0.0)
    _weights(d)
    objective = d.one_of("Classifier", "Forms", "Squares", "Twice", "Baseline", "Sometimes", "Distillation")
    if objective != "Classifier":
        d.say(f"Trainer.objective = @{objective}()")
    if objective in ("Classifier", "Forms", "Twice", "Baseline"):
        d.weight = "smoothing"
    if objective == "Forms":
        d.forms, d.dataset = True, "Formed"
        d.say("train/Loader.dataset = @Formed()")
        d.setting("Formed.noise", 0.1)
    if objective == "Sometimes":
        d.may_drop = False
        d.say("Trainer.stepper = @Plain()", "Plain.skip_nan = True")
    if objective == "Distillation":
        d.hooks.append("Teach")
        d.setting("Distillation.decay", 0.5)


def image(d: Drawn) -> None:
    """A convolutional classifier with skips and attention."""
    _images(d)
    chosen = d.several(("Norm", "Activation", "SelfAttention", "Merge", "Residual", "AdaIN"), 5)
    # What AdaIN modulates by is computed from the image, ahead of the stem.
    code = "@Reshape(), @code/Linear(), @square/Reshape(), " if "AdaIN" in chosen else ""
    d.say(
        f"Model.blocks = [{code}@stem/Conv(), {''.join(f'@{name}(), ' for name in chosen)}@Pool(), @head/Linear()]",
        "Conv.channels = 4",
        "stem/Conv.tap = 'stem'",
        "Merge.skip = 'stem'",
        "Residual.layers = [@Conv(), @Activation()]",
    )
    if code:
        d.say("Reshape.shape = (-1,)", "code/Linear.features = 16", "code/Linear.tap = 'code'", "AdaIN.latent = 'code'")
        d.say("square/Reshape.shape = (1, 4, 4)")
        d.first = "blocks.1.*"
    d.setting("Norm.kind", "layer", "group")
    d.setting("Norm.groups", 2)
    d.setting("SelfAttention.heads", 1)
    d.setting("Pool.kind", "max")
    d.setting("Activation.dropout", 0.0)
    d.weight = "smoothing"
    _weights(d)


def autoencoder(d: Drawn) -> None:
    """A variational autoencoder, whose latent is drawn from the global generator and modulates its decoder."""
    _images(d)
    modulation = d.one_of("", "@FiLM(), ", "@AdaIN(), ")
    d.say(
        "Trainer.objective = @VAE()",
        "Model.blocks = [@Conv(), @Norm(), @Activation(), @flat/Reshape(), @Gaussian(), @decode/Linear(), "
        f"@square/Reshape(), @Conv(), {modulation}@out/Conv()]",
        "Conv.channels = 4",
        "out/Conv.channels = 1",
        "flat/Reshape.shape = (-1,)",
        "Gaussian.latent = 3",
        "decode/Linear.features = 16",
        "square/Reshape.shape = (1, 4, 4)",
    )
    d.weight = "beta"
    _weights(d)


def sequence(d: Drawn) -> None:
    """A transformer over phrases of variable length."""
    d.dataset = "Phrases"
    layers = d.several(("@attend/Residual()", "@think/Residual()", "@Activation()", "@Norm()"), 4)
    d.say(
        "Trainer.objective = @CharModel()",
        "train/Loader.dataset = @Phrases()",
        "test/Loader.dataset = @test/Phrases()",
        "test/Phrases.size = 10",
        "Model.input_shape = (12,)",
        f"Model.blocks = [@Embedding(), {''.join(f'{layer}, ' for layer in layers)}@head/Linear()]",
        "Embedding.vocabulary = 20",
        "Embedding.features = 8",
        "Norm.kind = 'layer'",
        "attend/Residual.layers = [@Norm(), @SelfAttention()]",
        "think/Residual.layers = [@Norm(), @Linear(), @Activation()]",
        "Linear.features = 8",
        "head/Linear.features = 20",
    )
    d.setting("SelfAttention.causal", True)
    d.setting("SelfAttention.heads", 1)
    d.setting("Activation.dropout", 0.0)


def adversarial(d: Drawn) -> None:
    """A generator and its critic."""
    d.say(*(line for line in GAN if "optimizer" not in line))
    d.setting("Adversarial.critic_steps", 2, 3)
    d.setting("Adversarial.sharing", "forward", "graph")
    d.setting("Adversarial.start", 1, 3)
    if d.setting("Adversarial.penalty", 2.0):
        d.setting("Adversarial.penalty_every", 2)


def _images(d: Drawn) -> None:
    d.dataset = "Images"
    d.say(
        "train/Loader.dataset = @Images()",
        "test/Loader.dataset = @test/Images()",
        "test/Images.size = 10",
        "test/Images.seed = 1",
        "Model.input_shape = (1, 4, 4)",
    )


def _weights(d: Drawn) -> None:
    """What is done to a model's weights before training, or at run time."""
    around = d.one_of(None, "spectral", "equalised", "unused", "inits")
    if around == "inits":
        d.say("Model.inits = {'*.weight': @NormalInit()}", "NormalInit.std = 0.3")
    elif around is not None:
        d.say(f"Trainer.model = @{around}", f"{around}.model = @Model")


MODELS = (vector, image, autoencoder, sequence, adversarial)
