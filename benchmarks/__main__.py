"""Run every benchmark: ``python -m benchmarks [--fast] [--json FILE]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import (
    answers,
    bandwidth,
    certification,
    discretize,
    executor,
    memory,
    model,
    noise,
    precision,
    scheduler,
    stability,
    timesteps,
)
from benchmarks.harness import check_path, environment, write

ROUNDS = {
    executor: 40,
    scheduler: 20,
    model: 7,
    bandwidth: 9,
    precision: 1,
    discretize: 5,
    noise: 5,
    memory: 1,
    stability: 2,
    answers: 1,
    timesteps: 5,
    certification: 3,
}
PACKAGES = ("torch", "diffusers", "torchsde", "scipy", "sympy", "nodepy")


def main() -> None:
    """Run them one after the other and print all tables."""
    parser = argparse.ArgumentParser(description="numdiff's benchmarks, each against a peer in the same run")
    parser.add_argument("--fast", action="store_true", help="one round each, fewer points: does it run, not how fast")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    check_path(parser, options.json)
    if options.fast:
        answers.METHODS = ("rk4",)
        stability.POINTS, discretize.STEPS, executor.TURN, timesteps.STEPS = 60, 100, 1e-9, (10,)
        certification.STEPS = (24, 48, 96, 192)
        scheduler.TURN = bandwidth.TURN = 1e-9
        scheduler.SHAPES = bandwidth.SHAPES = ((1, 4, 64, 64),)
    reports = [r for module, rounds in ROUNDS.items() for r in module.run(1 if options.fast else rounds)]
    write(reports, environment(PACKAGES), options.json)


if __name__ == "__main__":
    main()
