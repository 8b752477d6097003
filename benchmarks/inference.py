"""From pictures to answers: `Predictor` against eager torch as people use it and ONNX Runtime as its manual shows.

    python benchmarks/inference.py                          # every workload, n = 5
    python benchmarks/inference.py --workload resnet50:224:16 --runs 7
    python benchmarks/inference.py --folder photos/         # these photographs instead of made-up ones

A workload is NETWORK:SIZE:BATCH, with made-up weights. Each side is a process of its own, in turn, and starts from the
same uint8 pictures in memory and ends with their five best classes; `folder` begins at JPEG files, told beside the
decoder alone and the engine alone, each with all cores. Prints machine, versions, every run, medians, spread and the
aims: fp32 at least 2.2 times eager and no more than 5 % below ONNX Runtime, int8 at least 8 times eager (ResNet-50 at
224, batch 16, without AMX); a folder at no less than 80 % of the slower of decoder and engine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from train_throughput import print_machine, run

WORKLOADS = ("resnet50:224:16", "resnet50:224:1", "resnet20_cifar:32:128")
FOLDER = "resnet50:224:16"
SIDES = ("eager", "onnxruntime", "predictor", "int8")
MEAN, STD = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))
PHOTOS = 200


def sealed(workload, folder, *, photographs=False):
    """The sealed file of a workload's network: for pictures of its size, or for photographs, whose centre is cut out
    as the other sides cut it."""
    import torch

    import reslearn
    from reslearn.spec.preprocess import Preprocess

    name, size, _ = parts(workload)
    path = folder / f"{name}{'-photographs' if photographs else ''}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        net = reslearn.create_model(name).eval()
        margin = round(size * 256 / 224) if photographs else size
        preprocess = Preprocess(size, margin, "crop", mean=tuple(map(float, MEAN)), std=tuple(map(float, STD)))
        reslearn.save(path, net, preprocess=preprocess)
    return path


def export_int8(workload, folder):
    """An OpenVINO file whose ranges were measured on made-up pictures: its speed is that of any other's."""
    import reslearn

    target = folder / f"{parts(workload)[0]}.xml"
    if not target.exists():
        pictures = folder / "calibration"
        if not pictures.exists():
            make_photos(pictures, 40, classes=2)
        reslearn.export(
            sealed(workload, folder), target, to="openvino", precision="int8", calibrate=str(pictures), verify=False
        )
    return target


def export_onnx(workload, folder):
    """As torch's documentation exports: the network, one example, a batch of any number."""
    import torch

    import reslearn

    name, size, _ = parts(workload)
    target = folder / f"{name}.onnx"
    if not target.exists():
        net = reslearn.load(sealed(workload, folder)).net
        example = torch.rand(2, 3, size, size)
        batch = torch.export.Dim("batch")
        torch.onnx.export(net, (example,), str(target), dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    return target


def make_photos(folder, count, *, classes=1):
    """JPEG files of a camera's kind: smooth, some noise, 640 x 480."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        here = folder / f"class{i % classes}"
        here.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((640, 480), Image.BICUBIC)
        noisy = np.asarray(small, np.int16) + rng.integers(-12, 13, (480, 640, 3), dtype=np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(here / f"{i:05d}.jpg", quality=90)


def parts(workload):
    """NETWORK:SIZE:BATCH."""
    name, size, batch = workload.split(":")
    return name, int(size), int(batch)


def normalised(pictures):
    """uint8 (N, S, S, 3) to float32 (N, 3, S, S), as every tutorial does it."""
    return np.ascontiguousarray(((pictures.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2))


def answering(side, workload, folder):
    """A function from uint8 pictures (N, S, S, 3) to their five best classes."""
    if side == "eager":
        import torch

        import reslearn

        net = reslearn.load(sealed(workload, folder)).net

        def eager(pictures):
            with torch.inference_mode():
                return net(torch.from_numpy(normalised(pictures))).softmax(1).topk(5)

        return eager
    if side == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(export_onnx(workload, folder)))
        given = session.get_inputs()[0].name

        def documented(pictures):
            [logits] = session.run(None, {given: normalised(pictures)})
            return np.argsort(-logits, axis=1)[:, :5]

        return documented
    import reslearn

    model = export_int8(workload, folder) if side == "int8" else sealed(workload, folder)
    predictor = reslearn.Predictor(model, batch_size=parts(workload)[2])
    return lambda pictures: predictor(list(pictures))


def time_side(side, workload, folder, seconds):
    """Pictures a second, the median over calls."""
    _, size, batch = parts(workload)
    answer = answering(side, workload, folder)
    pictures = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    for _ in range(3):
        answer(pictures)
    took, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds or len(took) < 5:
        start = time.perf_counter()
        answer(pictures)
        took.append(time.perf_counter() - start)
    return batch / statistics.median(took)


def time_folder(side, workload, folder, photos):
    """Pictures a second of a folder from files to answers, or of the decoder or the engine alone."""
    _, size, batch = parts(workload)
    files = sorted(map(str, Path(photos).rglob("*.jpg")))
    if side in ("eager", "onnxruntime"):
        from PIL import Image

        answer = answering(side, workload, folder)
        margin = round(size * 256 / 224)

        def read(file):
            image = Image.open(file).convert("RGB")
            factor = margin / min(image.size)
            image = image.resize((round(image.width * factor), round(image.height * factor)), Image.BILINEAR)
            left, top = (image.width - size) // 2, (image.height - size) // 2
            return np.asarray(image.crop((left, top, left + size, top + size)))

        answer(np.stack([read(file) for file in files[:batch]]))
        began = time.perf_counter()
        for i in range(0, len(files), batch):
            answer(np.stack([read(file) for file in files[i : i + batch]]))
        return len(files) / (time.perf_counter() - began)
    import reslearn
    from reslearn.data.preprocess import to_batch
    from reslearn.data.workers import in_threads
    from reslearn.predictor.given import given
    from reslearn.predictor.stream import CHUNK, Reading

    predictor = reslearn.Predictor(sealed(workload, folder, photographs=True), batch_size=batch)
    pictures = given(files)
    reading = Reading(pictures, predictor.model.bundle.preprocess)
    ready = to_batch(reading(range(batch)))
    predictor.scorer(ready)
    began = time.perf_counter()
    if side == "decoder":
        chunks = [range(i, min(i + CHUNK, len(files))) for i in range(0, len(files), CHUNK)]
        for _ in in_threads(reading, chunks, os.cpu_count()):
            pass
    elif side == "engine":
        for _ in range(0, len(files), batch):
            predictor.scorer(ready)
    else:
        list(predictor.stream(pictures))
    return len(files) / (time.perf_counter() - began)


def said(name, rates):
    """One line of a side's runs."""
    spread = max(rates) / min(rates) - 1
    runs = " ".join(f"{rate:.1f}" for rate in rates)
    print(
        f"  {name:<12} median {statistics.median(rates):8.1f} pictures/s, spread {spread:.0%}, runs {runs}", flush=True
    )
    return statistics.median(rates)


def compare(title, sides, options, arguments):
    """Every side in turn, `options.runs` times; the medians by side."""
    print(title, flush=True)
    rates = {side: [] for side in sides}
    for _ in range(options.runs):
        for side in sides:
            command = [sys.executable, __file__, "--side", side, "--seconds", str(options.seconds), *arguments]
            rates[side].append(run(command)["pictures_per_second"])
    return {side: said(side, found) for side, found in rates.items()}


def aim(what, ratio, least):
    """Whether an aim is met."""
    print(f"  {what}: {ratio:.2f} (aim {least:.2f}) {'met' if ratio >= least else 'MISSED'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", help="NETWORK:SIZE:BATCH, or folder; all if absent")
    parser.add_argument("--folder", type=Path, help="JPEG photographs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run of a side")
    parser.add_argument("--without-int8", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        [workload] = options.workload
        if options.folder:
            rate = time_folder(options.side, workload, options.work, options.folder)
        else:
            rate = time_side(options.side, workload, options.work, options.seconds)
        print(json.dumps({"pictures_per_second": rate}))
        return
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(work / "cache")  # graphs are made before anything is timed, and not kept
        for workload in options.workload or (*WORKLOADS, "folder"):
            if workload == "folder":
                photos = options.folder or work / "photos"
                if options.folder is None:
                    make_photos(photos, PHOTOS)
                given = ["--work", name, "--workload", FOLDER, "--folder", str(photos)]
                found = compare(
                    f"folder, {FOLDER}", ("eager", "onnxruntime", "decoder", "engine", "predictor"), options, given
                )
                slower = min(found["decoder"], found["engine"])
                aim("predictor to the slower of decoder and engine", found["predictor"] / slower, 0.8)
                continue
            sides = SIDES[:-1] if options.without_int8 else SIDES
            found = compare(workload, sides, options, ["--work", name, "--workload", workload])
            first = workload == WORKLOADS[0]
            aim("predictor to eager", found["predictor"] / found["eager"], 2.2 if first else 1.0)
            aim("predictor to ONNX Runtime", found["predictor"] / found["onnxruntime"], 0.95)
            if "int8" in found:
                aim("int8 to eager", found["int8"] / found["eager"], 8.0 if first else 1.0)


if __name__ == "__main__":
    main()
