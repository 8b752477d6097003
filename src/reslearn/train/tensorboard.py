"""The journal as TensorBoard events, for those who have the `tensorboard` extra and like to look there."""

from __future__ import annotations

from pathlib import Path

from ..spec.errors import UserError
from .records.journal import read_journal


def write_events(run: Path) -> Path:
    """Write `run`'s journal so far into `run/tensorboard`; returns that folder. Needs the extra `tensorboard`."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("TensorBoard is not installed; install it with: pip install tensorboard") from None
    if not (run / "metrics.jsonl").exists():
        raise UserError(f"{run}: no metrics.jsonl here; name a run folder")
    folder = run / "tensorboard"
    with SummaryWriter(str(folder)) as writer:
        for line in read_journal(run / "metrics.jsonl"):
            step = line.get("step", 0)
            for name, value in line.items():
                if name in ("kind", "step", "norms") or not isinstance(value, (int, float)):
                    continue
                writer.add_scalar(f"{line['kind']}/{name}", value, step)
            for layer, norm in line.get("norms", {}).items():
                writer.add_scalar(f"gradients/{layer}", norm, step)
    return folder
