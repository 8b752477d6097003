"""`push`: a model as a folder that timm and `reslearn.load` read, and that folder as a repository of the hub."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..bundle.combine import CombinedNet
from ..bundle.file import Loaded, load, whole_since
from ..bundle.header import SEEN_FILE, Bundle
from ..bundle.repository import layout_of, write_published
from ..data.parts.known import FORGOTTEN
from ..runtime.container import FILE_NAME, MEAN_IMAGE, is_sealed
from ..runtime.files import writable_target, write_atomic, write_json
from ..runtime.hub import CARD, CONFIG, upload
from ..spec.architectures import to_timm
from ..spec.codec import fields_to_json
from ..spec.errors import UserError
from ..spec.net import NetSpec, spec_to_json
from ..spec.preprocess import Preprocess
from .card import model_card

OURS = {FILE_NAME, SEEN_FILE, CONFIG, CARD}
_TIMM_CUT = {"crop": "center", "squash": "squash", "pad": "border"}


@dataclass(frozen=True)
class Pushed:
    """The files of a repository, and where they are."""

    layout: str
    architecture: str | None  # timm's name of the network; None where timm lacks it
    files: tuple[str, ...]
    sha256: str
    hashes: int  # by which seen pictures are recognised
    model: str = ""  # as it was named
    folder: Path | None = None
    address: str | None = None
    url: str | None = None  # of its page, once it is uploaded

    def __repr__(self) -> str:
        places = [str(place) for place in (self.folder, self.address) if place is not None]
        return f"Pushed({self.model} as {', '.join(self.files)} to {' and '.join(places)})"

    def to_json(self) -> dict[str, Any]:
        """The contract's keys; `url` of what was uploaded."""
        return {name: value for name, value in fields_to_json(self).items() if name != "url" or value is not None}


def push_model(
    model: str | os.PathLike[str],
    address: str | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    private: bool = False,
    forget_pictures: bool = False,
    agree: Callable[[str], bool] = lambda question: True,
) -> Pushed:
    """Write `model` as a repository: into `folder`, or at the hub's `address` (hf://OWNER/REPO), or both.

    `agree` is asked before anything is uploaded. Raises `UserError` where neither is
    named, for a folder that holds other things, and where the hub says no; then no folder is made.
    """
    if address is None and folder is None:
        raise UserError("name the repository, hf://OWNER/REPO, or a folder with --to-folder")
    if address is None and private:
        raise UserError("--private is said of a repository at the hub; name it, hf://OWNER/REPO")
    name = None if address is None else repository_name(address)
    target = None if folder is None else folder_target(Path(folder))
    loaded = load(model)
    with tempfile.TemporaryDirectory() as scratch:
        place = target or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        done = write_folder(place, loaded, name or place.absolute().name, forget=forget_pictures)
        done = replace(done, model=str(model), folder=target, address=address)
        if name is None:
            return done
        question = f"{words_of_hashes(done.hashes)}upload {len(done.files)} files to {address}?"
        if not agree(question):
            raise UserError(f"{address}: nothing was uploaded; say yes, or give --yes")
        return replace(done, url=upload(place, name, address or "", private=private))


def repository_name(address: str) -> str:
    """OWNER/REPO of an address to push to."""
    found = re.fullmatch(r"hf:/{1,2}([\w.-]+/[\w.-]+)", address)
    if found is None:
        raise UserError(f"{address}: a repository to push to is named as hf://OWNER/REPO")
    return found.group(1)


def folder_target(folder: Path) -> Path:
    """`folder`, if a repository may be written there: where nothing is, or an earlier one of ours."""
    writable_target(folder, "folder", "--to-folder")
    if folder.exists():
        there = {path.name for path in folder.iterdir()}
        if there and (there - OURS or not is_sealed(folder / FILE_NAME)):
            other = sorted(there - OURS or there)[0]
            raise UserError(f"--to-folder {folder}: {other} is there, and nothing is written beside it; name another")
    return folder


def write_folder(folder: Path, loaded: Loaded, name: str, *, forget: bool) -> Pushed:
    """Write the files of a repository."""
    known = FORGOTTEN if forget else loaded.known
    bundle = replace(loaded.bundle, sealed_whole_since=whole_since(loaded.bundle))
    written = write_published(folder, _tensors(loaded), bundle, known)
    layout = layout_of(written)
    write_json(folder / CONFIG, config_of(written, layout))
    write_atomic(folder / CARD, model_card(loaded, name=name, layout=layout, hashes=bool(known.tensors())).text)
    architecture = to_timm(written.members[0].spec) if layout == "timm" else None
    return Pushed(
        layout=layout,
        architecture=None if architecture is None else architecture[0],
        files=tuple(sorted(path.name for path in folder.iterdir() if path.name in OURS)),
        sha256=written.sha256,
        hashes=0 if written.seen is None else written.seen.trained + written.seen.selected,
    )


def _tensors(loaded: Loaded) -> dict[str, Tensor]:
    """Those of its sealed file, whatever file it was opened from."""
    nets = list(loaded.net.members) if isinstance(loaded.net, CombinedNet) else [loaded.net]
    tensors = {
        member.prefix + name: tensor
        for net, member in zip(nets, loaded.bundle.members, strict=True)
        for name, tensor in net.state_dict().items()
    }
    return tensors if loaded.mean_image is None else tensors | {MEAN_IMAGE: loaded.mean_image}


def words_of_hashes(hashes: int) -> str:
    """For a person: that what recognises seen pictures goes along."""
    if not hashes:
        return ""
    what = f"{hashes:,} hashes, of the files and of the pixels of its training pictures, go along"
    return f"{what}; by them these are known (--forget-pictures leaves them out); "


def crop_pct(prepare: Preprocess) -> float:
    """The largest share of which timm, which rounds down, makes the same `resize`."""
    share = prepare.size / prepare.resize
    while int(prepare.size / share) < prepare.resize:
        share = math.nextafter(share, 0)
    return share


def config_of(bundle: Bundle, layout: str) -> dict[str, object]:
    """`config.json`: what timm makes the network from, or the spec where timm does not have it."""
    spec, prepare = bundle.members[0].spec, bundle.preprocess
    found = to_timm(spec) if layout == "timm" else None
    if found is None or not isinstance(spec, NetSpec):
        return {"library_name": "reslearn", "networks": [spec_to_json(member.spec) for member in bundle.members]}
    architecture, arguments = found
    pre = spec.activation == "pre"
    told: dict[str, Any] = {
        "input_size": [spec.in_channels, prepare.size, prepare.size],
        "fixed_input_size": False,
        "interpolation": prepare.interpolation,
        "crop_pct": crop_pct(prepare) if prepare.mode == "crop" else 1.0,
        "crop_mode": _TIMM_CUT[prepare.mode],
        "mean": list(prepare.mean),
        "std": list(prepare.std),
        "num_classes": spec.num_classes,
        "pool_size": [max(prepare.size // spec.stage_strides[-1], 1)] * 2,
        "first_conv": "stem.conv" if pre else "conv1.0" if len(spec.resolved_stem.convs) > 1 else "conv1",
        "classifier": "head.fc" if pre else "fc",
    }
    licence = (bundle.source or {}).get("licence")
    told |= {} if licence is None else {"license": licence}
    config: dict[str, Any] = {
        "architecture": architecture,
        "num_classes": spec.num_classes,
        "num_features": spec.stage_channels[-1],
        "pretrained_cfg": told,
    }
    config |= {"model_args": arguments} if arguments else {}
    config |= {} if bundle.classes is None else {"label_names": list(bundle.classes)}
    return json.loads(json.dumps(config, ensure_ascii=True))  # type: ignore[no-any-return]
