"""TensorBoard, W&B, MLflow and trackio, each as two functions: begin with a run, then take numbers of a step.

Each uses its package's own settings: environment variables, files, offline modes. None is imported before it is named.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from ...spec.choices import Tracker
from ...spec.errors import UserError

PROJECT = "reslearn"
PACKAGES: Mapping[Tracker, tuple[str, str]] = {  # what is imported, and what is installed for it
    "tensorboard": ("torch.utils.tensorboard", "tensorboard"),
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow"),
    "trackio": ("trackio", "trackio"),
}


@dataclass(frozen=True)
class About:
    """What a board is told of a run: `identity` is the same when the run goes on."""

    folder: str
    name: str
    identity: str
    settings: Mapping[str, str | float | int | bool]
    step: int  # of the first line that is told


class Board(Protocol):
    """A run on a board."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Numbers of an optimiser step, by name."""
        ...

    def close(self) -> None:
        """All that was logged is to be kept."""
        ...


def board(tracker: Tracker) -> Callable[[About], Board]:
    """What begins on the board of this name. Raises `UserError` where its package is not installed, or broken."""
    module, package = PACKAGES[tracker]
    try:
        found = import_module(module)
    except ImportError:
        raise UserError(
            f"--log-to {tracker} needs {package}, which is not installed; run: pip install {package}"
        ) from None
    except Exception as error:  # whatever a package does while it is imported
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"--log-to {tracker}: {package} cannot be imported ({why}); mend it, or leave it out") from None
    made: Mapping[Tracker, Callable[[Any, About], Board]] = {
        "tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _Mlflow, "trackio": _Trackio,
    }  # fmt: skip
    return lambda about: made[tracker](found, about)


class _TensorBoard:
    """Events in `RUN/tensorboard`."""

    def __init__(self, module: Any, about: About) -> None:
        self._writer = module.SummaryWriter(os.path.join(about.folder, "tensorboard"), purge_step=about.step)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of W&B. It goes on under its identity; nothing of the terminal is sent."""

    def __init__(self, module: Any, about: About) -> None:
        self._run = module.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=about.identity,
            name=about.name,
            config=dict(about.settings),
            dir=about.folder,
            resume="allow",
            settings=module.Settings(console="off", silent=True),
        )

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    """A run of MLflow, by its client, so that no run of the caller's own is touched."""

    TAG = "reslearn.run"

    def __init__(self, module: Any, about: About) -> None:
        self._client = module.MlflowClient()
        self._metric = import_module("mlflow.entities").Metric
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        there = self._client.get_experiment_by_name(name)
        experiment = there.experiment_id if there else self._client.create_experiment(name)
        before = self._client.search_runs([experiment], filter_string=f"tags.`{self.TAG}` = '{about.identity}'")
        if before:
            self._run = before[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        self._run = self._client.create_run(
            experiment, run_name=about.name, tags={self.TAG: about.identity}
        ).info.run_id
        for key, value in about.settings.items():
            self._client.log_param(self._run, key, value)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        at = int(time.time() * 1000)
        metrics = [self._metric(name, value, at, step) for name, value in numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._run)


class _Trackio:
    """A run of trackio, kept in its own database."""

    def __init__(self, module: Any, about: About) -> None:
        self._run = module.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=f"{about.name}-{about.identity[:6]}",
            config=dict(about.settings),
            resume="allow",
        )
        self._finish = module.finish

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._finish()
