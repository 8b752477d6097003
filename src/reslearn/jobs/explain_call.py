"""`reslearn.explain`: the command as a function."""

from __future__ import annotations

import os

from ..bundle.file import Loaded
from ..data.anything import Range
from ..spec.choices import MapMethod
from .explaining import SHOWN, Explained, ExplainRequest
from .explaining import explain as explain_job

Path = str | os.PathLike[str]


def explain(
    model: Loaded | Path,
    pictures: object,
    *,
    method: MapMethod | None = None,
    of_class: str | int | None = None,
    layer: str | None = None,
    out: Path | None = None,
    split: str | None = None,
    shown: int = SHOWN,
    faithfulness: int | None = None,
    train_data: Path | None = None,
    device: str | None = None,
    value_range: Range | None = None,
) -> Explained:
    """Where in `pictures` a network finds a class, and whether its maps can be believed.

    `model` is a run folder, a sealed file, or what `reslearn.load` returned; `pictures` is whatever `predict` takes, or
    DATA with classes, of which also the classes are looked at (of its `split`, `test` unless given). `method` is `cam`,
    `gradcam`, `guided`, `occlusion` or `integrated-gradients`; unless given, `cam` where the network ends in a mean and
    one linear layer, else `gradcam`, at `layer` or the last one. Explained is `of_class`, a name or an index, or each
    picture's best class. At most `shown` pictures come back; on `faithfulness` of all (100 of up to 96 pixels, or 16)
    maps are tested by deletion and insertion. The nearest training pictures are looked for in `train_data`, or in the
    DATA itself. A page goes to `out`.

    Raises `UserError` for a picture, a method, a layer or a class that there is not.

        done = reslearn.explain("run", "cat.jpg")
        done[0].map  # (S, S) float32: above 0 where it speaks for done[0].label
        done.faithfulness.beats_chance
    """
    request = ExplainRequest(method, of_class, layer, split, shown, faithfulness, train_data, device)
    return explain_job(model, pictures, request, out=out, value_range=value_range)
