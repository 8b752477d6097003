"""The commands as functions of `reslearn`: one call each, paths or values in, a value out."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..bundle.file import Loaded, read_bundle
from ..data.anything import Range, as_dataset
from ..data.care.check import CheckReport, check_data
from ..data.care.splitting import SplitResult, split_data
from ..data.dataset import Dataset
from ..measure.scoring import Scoring
from ..runtime.notes import say
from ..runtime.settings import Precision
from ..spec.catalogue import get_spec
from ..spec.choices import Combine, Layout, OnBadFile, Prefer
from ..spec.errors import UserError, path_text
from ..spec.net import NetSpec, Spec
from ..spec.recipe import Recipe
from ..spec.vgg import VggSpec
from ..spec.voice import PYTHON
from ..train.crossval import Crossval
from .calibration import Calibrated, calibrate_model
from .compare import Compared, compare_models
from .convert import Converted, convert_weights
from .crossval import is_begun, plan_crossval, run_crossval
from .ensemble import Ensembled, ensemble_models
from .naming import chosen_folder
from .progress import watching
from .resolve import TrainRequest

Path = str | os.PathLike[str]
MODEL = "a run folder, a sealed file, or a model of reslearn.load"


def calibrate(
    model: Loaded | Path,
    data: object,
    *,
    split: str | None = None,
    target_precision: float | None = None,
    device: str | None = None,
    workers: int = 0,
    allow_seen: bool = False,
    only_unseen: bool = False,
    value_range: Range | None = None,
) -> Calibrated:
    """Fit a temperature (and for `target_precision`, in 0..1, a threshold for `unknown`) and store it in the file.

    `model` is a run folder or a sealed file, which is sealed anew; open it again afterwards. `data` is whatever
    `evaluate` takes; fitted is on its `split`, `val` unless given. Raises `UserError` for pictures that the model was
    trained on, unless `allow_seen` or `only_unseen` says what becomes of them.
    """
    scoring = Scoring(
        split, device=device, workers=workers, cache="auto", allow_seen=allow_seen, only_unseen=only_unseen
    )
    path = _path(model)
    given = _data(data, value_range, path)
    return calibrate_model(path, given, target_precision=target_precision, scoring=scoring)


def ensemble(
    models: Sequence[Loaded | Path],
    data: object,
    *,
    combine: Combine = "softmax",
    weights: Sequence[float] | None = None,
    greedy: bool = False,
    split: str | None = None,
    score_split: str | None = None,
    out: Path | None = None,
    protocol: str = "1-crop",
    precision: Precision = "fp32",
    device: str | None = None,
    workers: int = 0,
    allow_seen: bool = False,
    only_unseen: bool = False,
    forget_pictures: bool = False,
    value_range: Range | None = None,
) -> Ensembled:
    """Average several models, measure what that gains over the best of them on `data`, and seal them in the file `out`.

    What is averaged of their answers to each view of a `protocol` is their softmax, or with `combine` their logits.
    Members get equal weights, `weights`, or (`greedy`) those that lower the loss on `split` (`val` unless given);
    everything is scored on `score_split`, the same unless given. Raises `UserError` where their classes or their
    preprocessing do not fit each other, and for pictures that a member was trained on, unless it is said what becomes
    of them.
    """
    if isinstance(models, (str, os.PathLike, Loaded)) or not isinstance(models, Sequence):
        raise UserError(f"models is {type(models).__name__}; give a list of at least two, each {MODEL}")
    paths = [_path(one) for one in models]
    scoring = Scoring(
        split, protocol, precision, device, workers, cache="auto", allow_seen=allow_seen, only_unseen=only_unseen
    )
    return ensemble_models(
        paths, _data(data, value_range, paths[0]), combine=combine, weights=weights, greedy=greedy,
        score_split=score_split, out=out, forget_pictures=forget_pictures, scoring=scoring,
    )  # fmt: skip


def compare(
    a: Loaded | Path,
    b: Loaded | Path,
    data: object = None,
    *,
    split: str | None = None,
    protocol: str = "1-crop",
    precision: Precision = "fp32",
    device: str | None = None,
    workers: int = 0,
    allow_seen: bool = False,
    only_unseen: bool = False,
    value_range: Range | None = None,
) -> Compared:
    """Is one model better than another? Both answer the same pictures; `verdict` says it in words.

    `a` and `b` are models, or folders of runs that differ in their seed; `protocol` says how each picture is looked at.
    Without `data`, the data of the first run;
    without `split`, `test` where there is one, else the common `val`.
    """
    scoring = Scoring(
        split, protocol, precision, device, workers, cache="auto", allow_seen=allow_seen, only_unseen=only_unseen
    )
    given = None if data is None else _data(data, value_range, _path(a))
    return compare_models(_path(a), _path(b), data=given, scoring=scoring)


def crossval(
    data: Path,
    folds: int = 5,
    *,
    model: str | Spec | None = None,
    recipe: str | Recipe | None = None,
    out: Path | None = None,
    epochs: float | None = None,
    image_size: int | None = None,
    group: str | None = None,
    seed: int = 0,
    split_seed: int = 0,
    weights: Path | None = None,
    prefer: Prefer | None = None,
    precision: Precision | None = None,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
) -> Crossval:
    """Train `folds` networks, each without one part of the pictures, and score every picture by the one that has not
    seen it.

    What of `model`, `recipe`, `image_size` and `epochs` is not given is chosen as by `fit`; all start from `weights`,
    if some are named. `split_seed` draws the folds. `data` is a path, so that a run that was stopped can be continued:
    the same call with the same `out` goes on. `group` is a pattern whose first group, in a picture's name, names what
    must stay together. The networks end as one sealed ensemble in the folder `out` (`runs/SET-crossval-1`, ... unless
    given).
    """
    place = _place(data, "crossval", "so that it can be continued")
    request = TrainRequest(
        place, model, recipe, epochs=epochs, image_size=image_size, seed=seed, split_seed=split_seed,
        precision=precision, on_bad_file=on_bad_file, forget_pictures=forget_pictures,
        weights=None if weights is None else os.fspath(weights), prefer=prefer,
    )  # fmt: skip
    folder = os.fspath(out if out is not None else chosen_folder(data, kind="-crossval"))
    plan = plan_crossval(request, folds=folds, group=group, begun=is_begun(folder))
    plan.choice.tell(PYTHON)
    for line in plan.advice(PYTHON):
        say(f"advice    {line}")
    with watching() as watch:
        done = run_crossval(plan, out=folder, watch=lambda fold: watch, voice=PYTHON)
    if done is None:
        raise RuntimeError(f"{folder}: folds are missing although all were trained")
    return done


def convert(
    weights: Path,
    model: str | Spec | None = None,
    *,
    out: Path,
    to: Layout = "reslearn",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    class_names: Sequence[str] | str | None = None,
    image_size: int | None = None,
    prefer: Prefer | None = None,
    forget_pictures: bool = False,
) -> Converted:
    """Turn weights of another package into a sealed file, or any weights into another package's layout (`to`).

    `model` is the network that the weights belong to, a name or a spec, where they do not say it. The sealed file
    gets `class_names`, a list in label order or what `convert --class-names` takes, and `image_size`, `mean` and `std`
    (of pixels in 0..1) as its preprocessing. `out` is the file to write.
    """
    if not isinstance(model, (str, NetSpec, VggSpec, type(None))):
        raise UserError(f"model is a name of list_models(), a NetSpec or a VggSpec; found {type(model).__name__}")
    names = class_names if class_names is None or isinstance(class_names, str) else tuple(map(str, class_names))
    weights = path_text(weights, "convert takes the path, the name or the address of weights")
    return convert_weights(
        weights, None if model is None else get_spec(model), out=out, mean=None if mean is None else tuple(mean),
        std=None if std is None else tuple(std), class_names=names, image_size=image_size, to=to, prefer=prefer,
        forget_pictures=forget_pictures,
    )  # fmt: skip


def check(
    data: Path,
    *,
    out: Path | None = None,
    html: Path | None = None,
    exclude: Sequence[str] = (),
    workers: int | None = None,
    write: bool = True,
) -> CheckReport:
    """Decode every picture of `data` and find what is broken, double, odd or missing.

    Writes the manifest (`out`, or the data's own) that later commands obey, unless `write` is false, and a page to
    `html`. `exclude` names what else is left out, such as `duplicates`.
    """
    report, _ = check_data(
        _place(data, "check", "where its manifest lies"),
        manifest=None if out is None else os.fspath(out),
        html=None if html is None else os.fspath(html),
        exclude=exclude,
        workers=workers,
        write=write,
    )
    return report


def split(
    data: Path,
    ratio: str | None = None,
    *,
    folds: int | None = None,
    out: Path | None = None,
    group_regex: str | None = None,
    seed: int = 0,
    content: bool = True,
    workers: int = 0,
) -> SplitResult:
    """Divide `data` into `train` and `val` (and `test`) by `ratio`, such as "8:1:1", or into `folds`, stratified.

    The manifest (`out`, or the data's own) keeps it: known pictures stay where they are when the data grows. The
    first group of `group_regex`, in a picture's name, names what must stay together. Pictures are known by their
    `content`, or else by path and size.
    """
    return split_data(
        _place(data, "split", "where its manifest lies"),
        ratio=ratio,
        folds=folds,
        manifest=None if out is None else os.fspath(out),
        group_regex=group_regex,
        seed=seed,
        hashing=content,
        workers=workers,
    )


def _place(data: object, call: str, why: str) -> str:
    """The path of data that a call does not take as a value."""
    return path_text(data, f"{call} takes the path of its pictures, {why}")


def _path(model: object) -> Path:
    """The file of a model: calibration changes it, and a comparison names it."""
    if isinstance(model, Loaded):
        return model.path
    if not isinstance(model, (str, os.PathLike)):
        raise UserError(f"a model is {MODEL}; found {type(model).__name__}")
    return model


def _data(data: object, value_range: Range | None, model: Path) -> Dataset | Path:
    """A path as it is; what lies in memory as a data set, its classes those of the model where it names none."""
    if isinstance(data, (str, os.PathLike)):
        return data
    try:
        classes = read_bundle(model).classes
    except (UserError, OSError):  # a folder of runs; what is no model at all is said by who opens it
        classes = None
    return as_dataset(data, value_range, classes=classes)
