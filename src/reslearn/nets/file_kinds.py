"""What a file is that holds no state dict: by its first bytes, by the members of its zip, by its suffix."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ..runtime.opening import open_regular

_STARTS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes weights",
    b"version https://git-lfs": "a Git LFS pointer, not the weights themselves; run `git lfs pull` where it came from",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"GGUF": "a GGUF file",
}
_SUFFIXES = {
    ".onnx": "an ONNX graph",
    ".caffemodel": "a Caffe model",
    ".pdparams": "PaddlePaddle's weights",
    ".h5": "Keras weights",
    ".keras": "a Keras model",
    ".tflite": "a TensorFlow Lite model",
    ".pb": "a TensorFlow graph",
    ".msgpack": "Flax's weights",
    ".npz": "a NumPy archive",
    ".json": "a JSON file; give the file of tensors that it describes",
}


def kind_of(file: Path) -> str | None:
    """What `file` is, with what to do about it where that is known; None where it may hold a state dict."""
    with open_regular(file) as opened:
        start = opened.read(512)
    if start[:4] == b"PK\x03\x04":
        return _kind_of_zip(file)
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "a web page, saved in the place of the file; download the file itself"
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    known = next((words for magic, words in _STARTS.items() if start.startswith(magic)), None)
    return known or _SUFFIXES.get(file.suffix.lower())


def _kind_of_zip(file: Path) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except Exception:  # whatever zipfile meets in damaged bytes: torch will not read it, either
        return None
    inner = {name.partition("/")[2] or name for name in names}
    if any(name == "constants.pkl" or name.startswith("code/") for name in inner):
        return (
            "a TorchScript program, not weights; take its weights out in Python: "
            f"torch.save(torch.jit.load({str(file)!r}).state_dict(), 'weights.pth')"
        )
    if "data.pkl" in inner:
        return None if _is_intact(file) else "a PyTorch file with a part that has not its checksum; copy it again"
    if any(name.endswith("serialized_exported_program.json") or name.startswith("models/") for name in inner):
        return "a program that torch.export saved; save the network's state_dict() instead"
    if any(name.endswith(".npy") for name in names):
        return "a NumPy archive"
    if any(name.endswith("weights.h5") for name in names):
        return "a Keras model"
    return f"a zip archive ({', '.join(names[:2]) or 'empty'}); unpack it first"


def _is_intact(file: Path) -> bool:
    """Whether the parts of a zip have their checksums; torch itself does not look, and can write files without any."""
    wrong, total = 0, 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            total += 1
            try:
                with archive.open(info) as part:
                    while part.read(1 << 20):
                        pass
            except Exception:  # whatever zipfile meets in damaged bytes
                wrong += 1
    return wrong in (0, total)
