"""Where numbers go: wandb, TensorBoard, MLflow, CSV and JSON files"""

BUILDERS = (
    "wandb.init", "wandb.log", "wandb.watch", "torch.utils.tensorboard.SummaryWriter",
    "torch.utils.tensorboard.writer.SummaryWriter", "tensorboardX.SummaryWriter", "tensorboard_logger.*",
    "mlflow.start_run", "mlflow.log_metric*", "mlflow.log_param*", "neptune.init*", "comet_ml.Experiment",
    "clearml.Task.init", "aim.Run", "visdom.Visdom", "csv.writer", "csv.DictWriter", "swanlab.init",
    "trackio.init",
)  # fmt: skip
