"""`paper` on the command line: lists, tables, dry runs and errors; nothing heavy is imported for a look."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from reslearn.cli.app import main


def call(capsys, *arguments):
    status = main(["paper", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_list_names_every_table_figure_and_study(capsys):
    status, out, _ = call(capsys, "list", "--json")
    found = {line["name"]: line for line in json.loads(out)}
    assert status == 0 and {"static", "p1-table6", "p1-fig7", "study-lesion", "p4-table15"} <= set(found)
    assert found["p1-table6"]["runnable"] == 6 and found["p1-table6"]["rows"] == 12
    assert "p1-table6" in call(capsys, "list")[1]
    tables = [name for name, line in found.items() if line["kind"] == "table"]
    assert tables[:6] == [f"p1-table{n}" for n in range(1, 7)]


SHOWN = ["p1-table6", "p1-table1", "p1-fig6", "study-gate", "static", "p1-table5", "coverage", "p4-table16",
         "study-gradients"]  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_show_prints_for_people_and_programs(capsys, name):
    status, out, _ = call(capsys, "show", name, "--json")
    assert status == 0 and json.loads(out)["name"] == name
    assert call(capsys, "show", name)[1].strip()


def test_show_prints_a_cell_as_the_paper_does(capsys):
    assert "best 6.43 (6.61±0.16)" in call(capsys, "show", "p1-table6")[1]
    assert "0 differs" in call(capsys, "show", "static")[1]


def rows_of(capsys, name):
    return {row["label"]: row for row in json.loads(call(capsys, "show", name, "--json")[1])["published"]["rows"]}


def test_show_says_which_of_a_rows_numbers_are_context(capsys):
    assert rows_of(capsys, "p2-table2")["original"]["context"] == "ResNet-110: quoted from P1 table 6"
    assert rows_of(capsys, "p4-table2")["ResNet-50"]["context"] == (
        "original top-1, original top-5: quoted from the net's own paper"
    )
    assert rows_of(capsys, "p3-table5")["ResNet-200"]["context"] == (
        "224 top-1, 224 top-5: quoted from fb.resnet.torch; 320 top-1, 320 top-5: quoted from P2 table 5"
    )
    assert rows_of(capsys, "p5-table8")["ResNet-50"]["context"] == "quoted from fb.resnet.torch"
    assert rows_of(capsys, "p4-table2")["SE-ResNet-50"]["context"] == ""


def test_show_prints_the_net_as_it_is_changed_and_what_is_remarked(capsys):
    assert "se_resnet50, stride_on=1x1, se_bias=False, variant=se_no_squeeze" in call(capsys, "show", "p4-table16")[1]
    assert "fail  plain110_cifar (a plain net)" in call(capsys, "show", "p2-table1")[1]
    assert "its column's, variant=bn_after_addition" in call(capsys, "show", "p2-table2")[1]
    assert "=None" not in call(capsys, "show", "study-bn")[1]


def test_only_what_was_run_has_a_statistic(capsys):
    shown = call(capsys, "show", "p1-table1")[1]
    assert "statistic" not in shown and shown.rstrip().endswith("counted by: reslearn paper show static")
    assert "counted by" not in call(capsys, "show", "p1-table5")[1]
    assert "statistic: 1-crop, median of 5" in call(capsys, "show", "p5-table3")[1]


@pytest.mark.parametrize(
    ("name", "how"),
    [("study-operations", "paper report --only study-operations"), ("p5-fig4", "paper run p5-fig4 --tier short"),
     ("study-gradients", "paper run study-gradients")],
)  # fmt: skip
def test_what_trains_nothing_says_how_it_is_seen(capsys, name, how):
    assert call(capsys, "show", name)[1].rstrip().endswith(f"run it: reslearn {how}")


def test_a_look_imports_neither_torch_nor_sklearn_nor_matplotlib():
    code = (
        "import sys; from reslearn.cli.app import main; "
        "main(['paper', 'list']); main(['paper', 'show', 'p1-table6']); "
        "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]")


def test_a_dry_run_resolves_and_trains_nothing(capsys, tmp_path):
    status, out, _ = call(capsys, "run", "p1-fig1", "--dry-run", "--json", "--store", str(tmp_path / "s"))
    cells = json.loads(out)["cells"]
    assert status == 0 and [c["state"] for c in cells] == ["to run", "to run"] and not (tmp_path / "s").exists()
    out = call(capsys, "run", "p1-table2", "--tier", "full", "--dry-run", "--store", str(tmp_path / "s"))[1]
    assert "not run: needs ImageNet at --data" in out and "--rows plain-34 --data IMAGENET" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "p1-tabel6"], "p1-table6"),
        (["run", "p1-fig6", "--tier", "tiny"], "smoke"),
        (["run", "p1-fig6", "--rows", "ResNet-21"], "ResNet-20"),
        (["run", "p1-fig6", "--shard", "3/2"], "i/n"),
        (["run", "p1-fig6", "--seeds", "0"], "at least 1"),
        (["run", "p1-fig1", "--dry-run", "--seeds=100000000"], "at most 1,000"),
        (["run", "p1-fig1", "--dry-run", "--rows", ";"], "names nothing"),
        (["run", "p1-fig1", "--precision", "fp16"], "the smoke tier computes in fp32"),
        (["run", "p5-fig4", "--dry-run", "--precision", "bf16"], "or --precision"),
        (["run", "p1-fig1", "--dry-run", "--fraction", "0.5"], "belongs to --tier short; the tier is smoke"),
        (["run", "p1-fig1", "--dry-run", "--tier", "short", "--fraction", "0"], "a share in (0, 1]"),
        (
            ["run", "p1-fig1", "--dry-run", "--tier", "short", "--fraction", "1e-9"],
            "leaves 1 step of the 64,000 of plain-20; the least is 50, here --fraction 0.000782",
        ),
        (["run", "p1-ilsvrc", "--dry-run"], "nothing to train; see it with: reslearn paper show p1-ilsvrc"),
        (["run", "p4-table1"], "nothing to train; see it with: reslearn paper show p4-table1"),
        (["run", "p4-fig6", "--dry-run"], "nothing to run at the smoke tier: SE-ResNet-50: too large"),
        (["run", "p1-fig6", "--precision", "fp8"], "bf16"),
        (["run", "p1-table2", "--tier", "full"], "needs ImageNet at --data"),
        (["run", "static"], "use `reslearn paper show static`"),
        (["run", "coverage"], "use `reslearn paper show coverage`"),
        (["run", "study-operations"], "paper report --only study-operations"),
        (["run", "study-gradients", "--rows", "plain-20"], "takes no --rows"),
        (["run", "p1-table8"], "reslearn paper show p1-table8"),
        (["report", "--store", "nowhere"], "paper run p1-fig6"),
        (["report", "--page", "nowhere.md"], "nowhere.md"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(capsys, arguments, message):
    status, out, err = call(capsys, *arguments, "--json")
    assert (status, out) == (2, "") and message in err.splitlines()[-1] and "Traceback" not in err


def test_the_names_that_an_error_counts_are_those_of_its_command(capsys):
    listed = {line["name"] for line in json.loads(call(capsys, "list", "--json")[1])}
    err = call(capsys, "show", "xxxxxxxx")[2].splitlines()[-1]
    assert f"({len(listed)} in all)" in err
    able = [name for name in listed if "nothing to train" not in (said := call(capsys, "run", name, "--dry-run")[2])
            and "trains nothing" not in said]  # fmt: skip
    assert f"({len(able)} in all)" in call(capsys, "run", "xxxxxxxx")[2].splitlines()[-1]


def test_a_shard_of_none_says_so(capsys, tmp_path):
    status, out, _ = call(capsys, "run", "p1-fig1", "--dry-run", "--shard", "5/5", "--store", str(tmp_path / "s"))
    assert status == 0 and out == "shard 5/5 has none of the 2 trainings: there are more shards than trainings\n"


def test_an_empty_part_of_rows_is_none(capsys, tmp_path):
    arguments = ["run", "p1-fig6", "--dry-run", "--rows", "ResNet-20;", "--json", "--store", str(tmp_path / "s")]
    assert [cell["row"] for cell in json.loads(call(capsys, *arguments)[1])["cells"]] == ["ResNet-20"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Mine\n", "page.md: it has no marked block; write <!-- paper p1-fig6 --> ... <!-- /paper -->"),
        ("\n<!-- paper p1-fig6 -->\nold\n", "page.md, line 2: <!-- paper p1-fig6 --> is never closed"),
        ("<!-- paper p1-fig6 -->\n<!-- paper static -->\n<!-- /paper -->\n", "line 1: <!-- paper p1-fig6 --> is never"),
        ("<!-- paper static -->\n<!-- /paper -->\n<!-- /paper -->\n", "line 3: <!-- /paper --> closes nothing"),
    ],
)
def test_a_page_without_whole_marks_is_one_line_and_stays(capsys, tmp_path, text, message):
    page = tmp_path / "page.md"
    page.write_text(text)
    status, out, err = call(capsys, "report", "--page", str(page), "--store", str(tmp_path))
    assert (status, out) == (2, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"] and page.read_text() == text


def test_a_page_that_is_no_text_is_one_line_and_stays(capsys, tmp_path):
    page = tmp_path / "page.md"
    page.write_bytes(b"\xff\xfe\x00binary")
    status, out, err = call(capsys, "report", "--page", str(page), "--store", str(tmp_path))
    assert (status, out) == (2, "") and "page.md: not UTF-8 text" in err and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"] and page.read_bytes().startswith(b"\xff\xfe")


def test_a_run_and_its_report(capsys, tmp_path, monkeypatch):
    from reslearn.paper.cells import tiers

    monkeypatch.setattr(tiers, "SMOKE_STEPS", 3)
    store, kept = tmp_path / "store", tmp_path / "kept"
    status, out, _ = call(capsys, "run", "p1-table6", "--rows", "ResNet-20", "--store", str(store), "--json")
    assert status == 0 and json.loads(out)["cells"][0]["state"] == "done"
    page = tmp_path / "page.md"
    page.write_text("<!-- paper p1-table6 -->\n<!-- /paper -->\n")
    options = ["--store", str(store), "--keep", str(kept)]
    status, out, _ = call(capsys, "report", *options, "--page", str(page), "--json")
    assert status == 0 and "not judged (the smoke tier" in page.read_text() and json.loads(out)["figures"] == []
    assert [p.name for p in kept.glob("**/*") if p.is_file()] == ["result.json"]
    arguments = ["report", "--store", str(kept), "--only", "p1-table6", "--out", str(tmp_path / "out"), "--json"]
    status, out, _ = call(capsys, *arguments)
    assert status == 0 and json.loads(out)["verdicts"] == {
        "agrees": 0, "differs": 0, "partial": 0, "not judged": 1, "not run": 13}  # fmt: skip


def test_what_needs_no_training_is_seen_without_a_store(capsys, tmp_path):
    out = tmp_path / "out"
    status, _, _ = call(
        capsys, "report", "--only", "study-operations", "--store", str(tmp_path / "no"), "--out", str(out)
    )
    text = (out / "report.md").read_text()
    assert status == 0 and "AlexNet has" in text and "GoogLeNet" in text and "activations" in text
    assert (out / "figures" / "study-operations.svg").stat().st_size > 5000


def test_a_cell_that_is_very_long_does_not_push_the_others_away(capsys):
    lines = call(capsys, "show", "coverage")[1].splitlines()
    column = lines[0].index("what")
    ragged = [line for line in lines if line[column - 2 : column] != "  "]
    assert column < 110 and ragged and all("draw " in line for line in ragged)
