"""`list`, `show`, `convert`, as a person and as a program meets them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from reslearn.cli.app import main
from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state
from reslearn.spec.catalogue import CATALOGUE, get_spec, list_models
from reslearn.spec.cost import cost
from reslearn.spec.net import spec_from_json, spec_to_json


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (status, standard output, standard error) of one command."""

    def command(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return command


def test_list_prints_names_as_json_and_a_table_for_people(run):
    assert json.loads(run("list", "resnext50*", "--json")[1]) == list_models("resnext50*")
    assert json.loads(run("list", "--json")[1]) == list(CATALOGUE)
    status, out, _ = run("list", "resnet50")
    assert status == 0 and "25,557,032" in out and "4.09 G" in out
    status, out, err = run("list", "resnext5O*", "--json")
    assert (status, out) == (2, "") and "unknown model or pattern" in err


@pytest.mark.parametrize(
    "name", ["resnet1202_cifar", "preact_resnet50", "vgg16_bn", "se_resnext50_32x4d", "plain20_cifar"]
)
def test_show_json_holds_the_contract_s_keys(run, name):
    value = json.loads(run("show", name, "--json")[1])
    counted = cost(get_spec(name))
    assert {"name", "parameters", "macs", "depth", "spec", "layers"} <= value.keys()
    assert (value["name"], value["parameters"], value["macs"]) == (name, counted.parameters, counted.macs)
    assert spec_from_json(value["spec"], "show") == get_spec(name)
    assert [layer["name"] for layer in value["layers"]] == [layer.name for layer in counted.layers]
    assert sum(layer["parameters"] for layer in value["layers"]) == counted.parameters


def test_show_applies_every_option(run):
    options = ["--shortcut", "B", "--classes", 100, "--image-size", 64, "--set", "se_reduction=8"]
    value = json.loads(run("show", "resnet20_cifar", *options, "--json")[1])
    spec = get_spec("resnet20_cifar", shortcut="B", num_classes=100, se_reduction=8)
    assert spec_from_json(value["spec"], "show") == spec
    assert value["macs"] == cost(spec, 64).macs


def test_show_draws_table_1(run):
    out = run("show", "resnet50")[1]
    rows = [" ".join(line.split()) for line in out.splitlines() if line.strip()]
    assert rows[2:9] == [
        "conv1 112x112 7x7, 64, stride 2",
        "56x56 3x3 max-pool, stride 2",
        "conv2_x 56x56 [1x1, 64 ]",
        "[3x3, 64 ] x 3",
        "[1x1, 256] first shortcut: projection",
        "conv3_x 28x28 [1x1, 128]",
        "[3x3, 128] x 4",
    ]
    assert "depth 50, parameters 25,557,032, multiply-adds 4.09 G" in out
    assert "stride_on=3x3" in out and "shortcut=B" in out and "zero_init_last_gamma=False" in out


@pytest.mark.parametrize("name", CATALOGUE)
def test_show_prints_every_network_for_people(run, name):
    status, out, err = run("show", name)
    assert (status, err) == (0, "")
    assert f"{cost(get_spec(name)).parameters:,}" in out


def test_show_prints_a_recipe(run):
    alone = json.loads(run("show", "--recipe", "paper-cifar", "--json")[1])
    assert alone["name"] == "paper-cifar" and alone["lr"] == 0.1
    both = json.loads(run("show", "resnet20_cifar", "--recipe", "paper-cifar", "--json")[1])
    assert both["recipe"] == alone and both["name"] == "resnet20_cifar"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "resnet51"], "unknown model 'resnet51'; did you mean resnet50"),
        (["show", "resnet50", "--shortcut", "Z"], "'Z' is not one of 'A', 'B', 'C', 'none'"),
        (["show", "resnet50", "--classes", "0"], "num_classes is 0; it must be at least 1"),
        (["show", "resnet50", "--image-size", "-1"], "image_size is -1"),
        (["show", "resnet50", "--image-size", "big"], "Invalid value for '--image-size'"),
        (["show", "resnet50", "--set", "groups"], "--set groups: expected field=value"),
        (["show", "resnet50", "--set", "groop=3"], "unknown field 'groop'; did you mean groups"),
        (["show"], "show needs a MODEL"),
        (["show", "--recipe", "paper-cifer"], "did you mean paper-cifar"),
        (["convert", "absent.pth", "--model", "resnet18", "-o", "x.safetensors"], "absent.pth: no such file"),
        (["convert", "absent.pth", "--model", "resnet18"], "Missing option '-o'"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_wrong_input_is_one_line_and_status_2(run, arguments, message):
    status, out, err = run(*arguments, "--json")
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["show", "resnet50"], ["show", "--recipe", "demo", "--json"]], ids=" ".join
)
def test_no_heavy_import(arguments):
    code = (
        "import sys; from reslearn.cli.app import main; status = main(sys.argv[1:]);"
        "heavy = [m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules];"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A small net and the file in which akamaster's code would have left it."""
    torch.manual_seed(0)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    path = tmp_path_factory.mktemp("weights") / "w.th"
    state = {f"module.{name}": tensor for name, tensor in export_state(net, "akamaster").items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, path)
    return net, path


def convert(run, path, out, *more):
    return run(
        "convert", path, "--model", "resnet20_cifar", "--set", "stage_blocks=[1,1,1]", "-o", out, *more, "--json"
    )


def test_convert_seals_with_the_given_preprocessing_and_names(run, foreign, tmp_path):
    from reslearn.bundle.file import load

    net, path = foreign
    names = "a,b,c,d,e,f,g,h,i,j"
    options = ["--mean", "0.1,0.2,0.3", "--std", "1,1,0.5", "--class-names", names]
    status, out, _ = convert(run, path, tmp_path / "m.safetensors", *options)
    assert status == 0 and json.loads(out)["from"] == "akamaster"
    loaded = load(tmp_path / "m.safetensors")
    assert loaded.bundle.classes == tuple(names.split(","))
    assert (loaded.bundle.preprocess.mean, loaded.bundle.preprocess.std) == ((0.1, 0.2, 0.3), (1.0, 1.0, 0.5))
    assert (loaded.bundle.preprocess.size, loaded.bundle.preprocess.mode) == (32, "squash")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.net(x), net.eval()(x))
    assert json.loads(run("show", tmp_path / "m.safetensors", "--json")[1])["parameters"] == cost(net.spec).parameters


@pytest.mark.parametrize("kind", ["txt", "json", "data"])
def test_class_names_come_from_a_file_or_a_data_set(run, foreign, tmp_path, kind):
    from reslearn.bundle.file import load

    names = [str(digit) for digit in range(10)]
    source = tmp_path / f"names.{kind}"
    if kind == "data":
        source = "digits"
    else:
        source.write_text("\n".join(names) if kind == "txt" else json.dumps(names))
    assert convert(run, foreign[1], tmp_path / "m.safetensors", "--class-names", source)[0] == 0
    assert load(tmp_path / "m.safetensors").bundle.classes == tuple(names)


def test_convert_writes_other_layouts_and_back(run, foreign, tmp_path):
    net, path = foreign
    assert convert(run, path, tmp_path / "k.safetensors", "--to", "akamaster")[0] == 0
    assert convert(run, tmp_path / "k.safetensors", tmp_path / "m.safetensors")[0] == 0
    assert convert(run, tmp_path / "m.safetensors", tmp_path / "a.pth", "--to", "akamaster")[0] == 0
    state = torch.load(tmp_path / "a.pth", weights_only=True)
    assert all(torch.equal(tensor, state[name]) for name, tensor in export_state(net, "akamaster").items())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--class-names", "a,b"], "2 class names for a network with 10 classes"),
        (["--mean", "0.5,red,0.5"], "--mean 0.5,red,0.5: expected numbers with commas between"),
        (["--mean", "0.5"], "mean and std need one number per channel"),
        (["--std", "0,1,1"], "std must be positive"),
        (["--mean", "123.675,116.28,103.53"], "mean is 123.675,116.28,103.53; pixels are in 0..1, so a mean"),
        (["--to", "keras"], "is not one of 'reslearn', 'torchvision', 'timm', 'akamaster', 'kuangliu'"),
        (["--to", "timm"], "timm's layout cannot hold resnet20_cifar"),
        (["--set", "stage_blocks=[2,1,1]"], "lacks layer1.1.bn1.bias"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_convert_refuses_in_one_line_and_writes_nothing(run, foreign, tmp_path, more, message):
    status, out, err = convert(run, foreign[1], tmp_path / "m.safetensors", *more)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_convert_into_a_folder_that_is_not_there(run, foreign, tmp_path):
    status, _, err = convert(run, foreign[1], tmp_path / "no" / "m.safetensors")
    assert status == 2 and "no such folder to write into" in err


@pytest.mark.parametrize(
    ("file", "name", "right"), [("20-12fca82f", "resnet20_cifar", 932), ("44-014dd654", "resnet44_cifar", 950)]
)
def test_published_weights_score_as_published_through_the_command_line(run, shared_data, tmp_path, file, name, right):
    data, out = shared_data("cifar10-lossless-mini.tar.gz"), tmp_path / "m.safetensors"
    weights = shared_data(f"weights/resnet{file}.th")
    normalisation = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
    assert run("convert", weights, "--model", name, *normalisation, "--class-names", data, "-o", out)[0] == 0
    status, text, _ = run("evaluate", out, data, "--split", "test", "--json")
    value = json.loads(text)
    assert status == 0 and value["images"] == 1017 and value["precision"] == "fp32"
    assert round(value["top1"] * 1017) == right


def test_show_reads_a_run_that_is_not_finished(run, tmp_path):
    spec = get_spec("resnet20_cifar", num_classes=3)
    (tmp_path / "run.json").write_text(json.dumps({"spec": spec_to_json(spec)}))
    assert json.loads(run("show", tmp_path, "--json")[1])["parameters"] == cost(spec).parameters
