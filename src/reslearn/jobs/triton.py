"""A model in a repository as Triton and OpenVINO Model Server read it: REPO/NAME/1/model.xml, REPO/NAME/config.pbtxt.

Triton's backend for OpenVINO fixes the batch that a model is compiled for to `max_batch_size`, and fills smaller ones
up (`ENABLE_BATCH_PADDING`): so that number is small. Both servers batch requests of one shape alone.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..engine.exported import IMAGES, LOGITS, Exported
from ..runtime.files import writable_target, write_atomic
from ..runtime.replacing import Kind, replaceable
from ..spec.choices import Width
from ..spec.errors import UserError
from ..spec.served import name_of

MARK = "# Made by reslearn."
MAX_BATCH = 8
MAX_WAIT = 5000  # microseconds that Triton's batcher waits for more
CONFIG = Kind("Triton configuration", lambda start, end: start.startswith(MARK.encode()))
LABELS = "labels.txt"


@dataclass(frozen=True)
class Place:
    """Where a model lies in a repository."""

    folder: Path  # of the model, called as it is

    @property
    def graph(self) -> Path:
        """OpenVINO's file; its weights lie beside it."""
        return self.folder / "1" / "model.xml"

    def forget(self) -> None:
        """Take the folders away again, where nothing came into them."""
        for folder in (self.graph.parent, self.folder, self.folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    @property
    def config(self) -> Path:
        """Triton's configuration."""
        return self.folder / "config.pbtxt"


def place_in(repository: str | os.PathLike[str], model: str | os.PathLike[str]) -> Place:
    """Where `model` goes in `repository`, its folder made. Raises `UserError` for what stands in the way."""
    place = Place(writable_target(repository, "folder", "-o") / name_of(Path(model)))
    writable_target(place.graph.parent, "folder", "-o")
    if place.folder.is_dir():
        replaceable(place.config, CONFIG, "-o")
        replaceable(place.folder / LABELS, Kind("list of labels", lambda start, end: place.config.exists()), "-o")
    try:
        place.graph.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"-o {place.graph.parent}: cannot be made ({error.strerror or error})") from None
    return place


def write_config(place: Place, exported: Exported) -> int:
    """Write the configuration, and the labels where each is one line; how many bytes. Triton loads the model then."""
    classes = exported.bundle.classes
    labels = "".join(f"{name}\n" for name in classes or ())
    plain = bool(classes) and len(labels.splitlines()) == len(classes or ())
    text = config_text(place.folder.name, exported.bundle.num_classes, exported.graph.precision, labelled=plain)
    if plain:
        write_atomic(place.folder / LABELS, labels)
    write_atomic(place.config, text)
    return len(text.encode()) + (len(labels.encode(errors="surrogateescape")) if plain else 0)


def config_text(name: str, classes: int, precision: Width, *, labelled: bool) -> str:
    """`config.pbtxt`: protobuf's text form of Triton's ModelConfig, with everything that the backend needs."""
    label = f'\n    label_filename: "{LABELS}"' if labelled else ""
    parameters = {"ENABLE_BATCH_PADDING": "YES", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    if precision == "bf16":
        parameters["HINT_BF16"] = "YES"
    told = ",\n".join(f'  {{ key: "{key}" value: {{ string_value: "{text}" }} }}' for key, text in parameters.items())
    return f"""{MARK} RGB bytes (height, width, 3) of any size in, logits out: all preparation is inside.
name: "{name}"
backend: "openvino"
default_model_filename: "model.xml"
max_batch_size: {MAX_BATCH}
input [
  {{
    name: "{IMAGES}"
    data_type: TYPE_UINT8
    dims: [ -1, -1, 3 ]
  }}
]
output [
  {{
    name: "{LOGITS}"
    data_type: TYPE_FP32
    dims: [ {classes} ]{label}
  }}
]
version_policy {{ latest {{ num_versions: 1 }} }}
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
dynamic_batching {{ max_queue_delay_microseconds: {MAX_WAIT} }}
parameters [
{told}
]
"""
