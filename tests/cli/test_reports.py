"""`report` and `doctor` from the command line."""

import json

from reslearn.cli.app import main


def test_doctor_prints_one_json_value(capsys):
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cores"] >= 1


def test_doctor_prints_a_screen(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("reslearn ") and max(map(len, lines)) < 160


def test_report_of_no_run_is_one_line_and_status_2(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--json"]) == 2
    streams = capsys.readouterr()
    assert streams.out == "" and "no run here" in streams.err.splitlines()[-1]
