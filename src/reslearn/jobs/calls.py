"""The commands as functions of `reslearn`: one call each, paths or values in, a value out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path as File

from ..bundle.file import Loaded, read_bundle
from ..data.anything import Range, as_dataset
from ..data.dataset import Dataset
from ..measure.agreement import Agreement
from ..measure.scoring import Scoring
from ..runtime.device import present
from ..runtime.files import writable_target
from ..runtime.notes import note
from ..runtime.settings import Precision
from ..spec.catalogue import get_spec
from ..spec.choices import Combine, Engine, Layout, Prefer
from ..spec.errors import UserError, path_text
from ..spec.net import NetSpec, Spec
from ..spec.vgg import VggSpec
from ..spec.voice import as_arguments
from .calibration import Calibrated, calibrate_model
from .card import Card, card_of
from .compare import Compared, compare_models
from .convert import Converted, convert_weights
from .ensemble import Ensembled, ensemble_models
from .features import Features, features_of, features_target
from .push import Pushed, push_model, words_of_hashes
from .verification import verify_files

Path = str | os.PathLike[str]
MODEL = "a run folder, a sealed file, what fit returned, or a model of reslearn.load"


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
    if len(models) < 2:
        raise UserError(f"an ensemble needs at least two models; found {len(models)}")
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


def verify(
    exported: Path,
    model: Loaded | Path,
    data: object,
    *,
    split: str | None = None,
    engine: Engine | None = None,
    value_range: Range | None = None,
) -> list[Agreement]:
    """Compare the file `exported` with the `model` that it was made of, picture by picture of `data`.

    There is a row for each engine that the file is right on and that is installed, or for `engine` alone; a row's `ok`
    says whether it answers alike. Compared is the `split`, `test` unless given; labels are not needed.
    """
    path, file = _path(model), path_text(exported, "exported is the file that export wrote")
    return verify_files(file, path, _data(data, value_range, path), split=split, engine=engine)


def features(
    model: Loaded | Path,
    data: object,
    *,
    out: Path | None = None,
    split: str | None = None,
    device: str | None = None,
    workers: int = 0,
    value_range: Range | None = None,
) -> Features:
    """What the last layer of a model reads, the pooled features of every picture of `data`, or of its `split`.

    `values` of the result is an array (N, channels) of float32; `paths`, `labels` and `splits` say whose each row is.
    They are written to the file `out` as well (.parquet, .csv or .npz), where one is named.
    """
    path = _path(model)
    given = _data(data, value_range, path)
    target = None if out is None else features_target(File(path_text(out, "out is the file to write")), "out")
    return features_of(path, given, target, split=split, device=present(device), workers=workers)


def card(model: Loaded | Path) -> Card:
    """The card of a model: scores with intervals, data, recipe, calibration, limits, use; `text` is Markdown."""
    return card_of(_path(model))


def push(
    model: Loaded | Path,
    address: str | None = None,
    *,
    to_folder: Path | None = None,
    private: bool = False,
    forget_pictures: bool = False,
) -> Pushed:
    """Give a model to others: weights in timm's names and a card, as files that `load` and timm read.

    They are written into the folder `to_folder`, or uploaded to the `address` hf://OWNER/REPO, a `private` one if
    wanted; the hashes by which seen pictures are recognised go along, unless `forget_pictures` leaves them out.
    """
    done = push_model(_path(model), address, folder=to_folder, private=private, forget_pictures=forget_pictures)
    if done.hashes:
        note(as_arguments(words_of_hashes(done.hashes).rstrip("; ")))
    return done


def write_report(run: Path, *, figures: Path | None = None) -> File:
    """Write the page of a run, a cross-validation or a sweep anew, with whatever has been evaluated since.

    The page's path is returned; its figures go into the folder `figures`, as PNG and SVG, where one is named.
    """
    from .pages.rewrite import rewrite  # matplotlib

    folder = File(path_text(run, "write_report takes the folder of a run, a cross-validation or a sweep"))
    where = None if figures is None else path_text(figures, "figures is the folder to write figures into")
    return rewrite(folder, None if where is None else writable_target(where, "folder", "figures"))[0]


def _path(model: object) -> Path:
    """The file of a model: calibration changes it, and a comparison names it."""
    if isinstance(model, Loaded):
        return model.path
    return path_text(model, f"a model is {MODEL}")


def _data(data: object, value_range: Range | None, model: Path) -> Dataset | Path:
    """A path as it is; what lies in memory as a data set, its classes those of the model where it names none."""
    if isinstance(data, (str, os.PathLike)):
        return data
    try:
        classes = read_bundle(model).classes
    except (UserError, OSError):  # a folder of runs; what is no model at all is said by who opens it
        classes = None
    return as_dataset(data, value_range, classes=classes)
