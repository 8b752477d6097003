"""CIFAR archives against the genuine records, and pickles that try to do more than hold arrays."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from reslearn.data.formats.cifar import unpickle_arrays
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

RNG = np.random.default_rng(0)


def test_records_packed_and_unpacked(cifar_archive, tmp_path):
    packed = open_data(cifar_archive)
    each = len(packed.splits["test"])
    assert each in (17, 1017) and len(packed.splits["train"]) == 5 * each
    assert packed.classes[0] == "airplane" and packed.classes[9] == "truck"
    with tarfile.open(cifar_archive) as tar:
        members = [(Path(member.name).name, tar.extractfile(member).read()) for member in tar if member.isfile()]
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name, raw in members:
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(raw)
    unpacked = open_data(tmp_path / "cifar-10-batches-py")
    assert unpacked.fingerprint() == packed.fingerprint()
    with open(tmp_path / "cifar-10-batches-py" / "test_batch", "rb") as file:
        genuine = pickle.load(file, encoding="bytes")
    genuine = {k.decode() if isinstance(k, bytes) else k: v for k, v in genuine.items()}
    image, label = unpacked.read(int(unpacked.splits["test"][5]))
    assert np.array_equal(image, np.asarray(genuine["data"])[5].reshape(3, 32, 32).transpose(1, 2, 0))
    assert label == genuine["labels"][5]


def python_batch(n, hundred=False):
    data = RNG.integers(0, 256, (n, 3072), dtype=np.uint8)
    labels = RNG.integers(0, 100 if hundred else 10, n).tolist()
    return {b"data": data, b"fine_labels" if hundred else b"labels": labels, b"coarse_labels": [0] * n}


def test_cifar100_python_uses_fine_labels(tmp_path):
    for name, n in (("train", 30), ("test", 10)):
        (tmp_path / name).write_bytes(pickle.dumps(python_batch(n, hundred=True), protocol=2))
    (tmp_path / "meta").write_bytes(pickle.dumps({b"fine_label_names": [f"c{i:02d}".encode() for i in range(100)]}))
    data = open_data(tmp_path)
    assert len(data.classes) == 100 and {k: len(v) for k, v in data.splits.items()} == {"train": 30, "test": 10}


@pytest.mark.parametrize("hundred", [False, True])
def test_binary_records_hold_the_same_pictures_as_python_ones(tmp_path, hundred):
    batch = python_batch(12, hundred)
    labels = np.array(batch[b"fine_labels" if hundred else b"labels"], dtype=np.uint8)
    head = np.stack([np.zeros_like(labels), labels], 1) if hundred else labels[:, None]
    binary, python = tmp_path / "bin", tmp_path / "py"
    for folder in (binary, python):
        folder.mkdir()
    for name in ("train", "test") if hundred else ("data_batch_1", "test_batch"):
        (binary / f"{name}.bin").write_bytes(np.concatenate([head, batch[b"data"]], 1).tobytes())
        (python / name).write_bytes(pickle.dumps(batch))
    if hundred:
        (binary / "fine_label_names.txt").write_text("\n".join(f"c{i}" for i in range(100)))
        (python / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"c{i}" for i in range(100)]}))
    else:
        (binary / "batches.meta.txt").write_text("\n".join(f"c{i}" for i in range(10)) + "\n\n")
        (python / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"c{i}" for i in range(10)]}))
    a, b = open_data(binary), open_data(python)
    assert a.classes == b.classes and np.array_equal(a.labels, b.labels)
    assert all(np.array_equal(a.read(i)[0], b.read(i)[0]) for i in range(24))


class Evil:
    def __reduce__(self):
        return (print, ("arbitrary code",))


@pytest.mark.parametrize("bad", [Evil(), {"data": Evil()}, io.BytesIO])
def test_a_pickle_that_could_act_is_refused(bad, capsys):
    with pytest.raises(UserError, match="not allowed in a CIFAR archive"):
        unpickle_arrays(pickle.dumps(bad), "data_batch_1")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("raw", [b"", b"hello", pickle.dumps(python_batch(3))[:500], pickle.dumps([1, 2])])
def test_a_damaged_batch_names_itself(tmp_path, raw):
    (tmp_path / "data_batch_1").write_bytes(raw)
    with pytest.raises(UserError, match="data_batch_1: not a CIFAR batch"):
        open_data(tmp_path)


def test_a_truncated_binary_batch_names_itself(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3073 * 2 - 5))
    with pytest.raises(UserError, match=r"data_batch_1\.bin: 6141 bytes are no whole number of 3073-byte records"):
        open_data(tmp_path)


def test_a_truncated_archive_names_itself(cifar_archive, tmp_path):
    whole = cifar_archive.read_bytes()
    cut = tmp_path / "cifar-10-python.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz: damaged or incomplete"):
        open_data(cut)
