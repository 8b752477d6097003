"""A picture that is not read does not vanish: every source counts it, and reading it says what it is."""

import io
import tarfile

import pytest
from PIL import Image

from reslearn.data.care.check import check
from reslearn.data.pictures.kinds import EXTENSIONS, NAMED
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

from ..conftest import encode, picture

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
OTHERS = {
    "photo.HEIC": HEIC,
    "IMG_2.heif": HEIC,
    "design.psd": b"8BPS\0\1" + bytes(40),
    "new.jxl": b"\xff\x0a" + bytes(40),
}


def as_folder(root, files):
    for name, raw in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(raw)
    return root


def as_tar(root, files):
    with tarfile.open(root / "data.tar", "w") as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return root / "data.tar"


@pytest.mark.parametrize("source", [as_folder, as_tar])
def test_a_picture_of_a_kind_that_is_not_read_is_counted_and_named(source, tmp_path):
    files = {f"{c}/{i}.png": encode(picture(i), "PNG") for c in ("cat", "dog") for i in range(3)}
    files |= {f"cat/{name}": raw for name, raw in OTHERS.items()}
    data = open_data(source(tmp_path, files), on_bad_file="skip", manifest=False)
    assert len(data) == 6 + len(OTHERS)
    report, _ = check(data, workers=0)
    rows = {row["id"]: row["detail"] for row in report.faults["undecodable"]}
    assert set(rows) == {f"cat/{name}" for name in OTHERS}
    for name, what in (("photo.HEIC", "HEIC"), ("design.psd", "Photoshop"), ("new.jxl", "JPEG XL")):
        assert what in rows[f"cat/{name}"]
        with pytest.raises(UserError, match=what):
            data.read(list(data.ids).index(f"cat/{name}"))


def test_every_extension_that_pillow_has_for_a_format_is_listed():
    Image.init()
    for extension, kind in Image.registered_extensions().items():
        if NAMED.get(kind, None) and extension not in {".icb", ".vda", ".vst"}:
            assert extension in EXTENSIONS, (extension, kind)
