"""Lists of class names as other systems write them."""

import json

import pytest

from reslearn.jobs.convert import read_class_names
from reslearn.spec.errors import UserError


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
@pytest.mark.parametrize("kind", ["txt", "json", "names"])
def test_lists_in_any_characters(tmp_path, charset, kind, capsys):
    path, names = tmp_path / f"a.{kind}", ("café", "Größe", "dog")
    text = json.dumps(names, ensure_ascii=False) if kind == "json" else "\r\n".join(names) + "\r\n"
    path.write_bytes(text.encode(charset))
    assert read_class_names(str(path)) == names
    assert ("read as Latin-1" in capsys.readouterr().err) == (charset in ("latin-1", "cp1252"))


def test_what_no_list_can_be(tmp_path):
    for text, words in (("cat\ndog\ncat\n", "'cat' is name 1 and name 3"), ("кошка\nсобака\n", "neither UTF-8")):
        (tmp_path / "a.txt").write_bytes(text.encode("cp1251"))
        with pytest.raises(UserError, match=words):
            read_class_names(str(tmp_path / "a.txt"))
    (tmp_path / "b.txt").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0")
    with pytest.raises(UserError, match=r"b\.txt: (neither UTF-8|not a text file|damaged)"):
        read_class_names(str(tmp_path / "b.txt"))
