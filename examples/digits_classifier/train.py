#!/usr/bin/env python3
"""Train a classifier of handwritten digits with Lab."""

import argparse
from pathlib import Path

from legacy_lab import Trainer, load_config

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=HERE / "digits_classifier.gin")
    parser.add_argument("--run-dir", default="runs/digits_classifier")
    parser.add_argument("--resume", help="a checkpoint, or 'latest'")
    parser.add_argument("--bind", action="append", default=[], help="e.g. --bind 'Trainer.steps = 50'")
    args = parser.parse_args()

    load_config(args.config, [*args.bind, f"Trainer.run_dir = {str(args.run_dir)!r}"])
    trainer = Trainer()
    metrics = trainer.train(resume=args.resume)
    print(f"step {trainer.step}: " + "  ".join(f"{name} {value:.4f}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
