"""The other side of `gpu.py`: ResNet-50 in the loop that timm and torchvision have in their reference scripts.

    python benchmarks/gpu_peer.py train --batch 256 --size 224            # synthetic pictures on the device
    python benchmarks/gpu_peer.py train --files FOLDER --workers 16       # JPEG files: Pillow, crop, flip
    python benchmarks/gpu_peer.py infer --batch 256
    python benchmarks/gpu_peer.py peak --precision bf16                   # TFLOP/s of large matrix products

Nothing of reslearn but the network, and that only where neither timm nor torchvision is installed; `net` says whose it
is. Channels_last, autocast, `torch.compile`, SGD with momentum, fused where the device has that. One JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resnet50():
    """(network, whose): timm's, torchvision's, or this package's."""
    with contextlib.suppress(ImportError, RuntimeError):  # RuntimeError: built for another torch
        import timm

        return timm.create_model("resnet50"), f"timm {timm.__version__}"
    with contextlib.suppress(ImportError, RuntimeError):
        import torchvision

        return torchvision.models.resnet50(), f"torchvision {torchvision.__version__}"
    from reslearn.nets.build import create_model

    return create_model("resnet50"), "plain loop, our network"


class Photos(Dataset):
    """JPEG files as torchvision's reference reads them: Pillow, random resized crop (bilinear), flip, normalise."""

    def __init__(self, folder, size, length):
        self.files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        self.size, self.length = size, length

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        with Image.open(self.files[i % len(self.files)]) as file:
            picture = file.convert("RGB")
        picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR, box=crop_of(*picture.size))
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(self.size, self.size, 3)
        x = x.permute(2, 0, 1).float().div_(255)
        return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1), i % 1000


def crop_of(width, height):
    """A box of 8 to 100 % of the area and an aspect of 3/4 to 4/3, as torchvision draws it."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            x, y = random.randint(0, width - w), random.randint(0, height - h)
            return x, y, x + w, y + h
    return 0, 0, width, height


def batches(options, device, count):
    """(images, labels) on the device, `count` times."""
    if options.files:
        photos = Photos(options.files, options.size, options.batch * count)
        loader = DataLoader(
            photos, options.batch, num_workers=options.workers, pin_memory=device == "cuda", drop_last=True
        )
        for images, labels in loader:
            moved = images.to(device, non_blocking=True, memory_format=torch.channels_last)
            yield moved, labels.to(device, non_blocking=True)
        return
    images = torch.randn(options.batch, 3, options.size, options.size, device=device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (options.batch,), device=device)
    for _ in range(count):
        yield images, labels


def peak(device, dtype):
    """TFLOP/s of a product of two large square matrices, the best of ten."""
    side = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(13):
        began = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times[3:]) / 1e12


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["train", "infer", "peak"])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--precision", choices=["fp32", *DTYPES], default="bf16")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--files", help="a folder of JPEG files; without it, pictures that lie on the device")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.task == "peak":
        name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        print(json.dumps({"tflops": peak(device, DTYPES.get(options.precision, torch.float32)), "device": name}))
        return
    net, whose = resnet50()
    net = net.to(device, memory_format=torch.channels_last).train(options.task == "train")
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=device == "cuda")
    scaler = torch.amp.GradScaler(device, enabled=options.precision == "fp16")
    dtype = DTYPES.get(options.precision, torch.float32)
    run = net if options.eager else torch.compile(net)

    def train(images, labels):
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(run(images), labels)
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()

    def infer(images, labels):
        with torch.inference_mode(), torch.autocast(device, dtype, enabled=dtype != torch.float32):
            run(images)

    step = train if options.task == "train" else infer
    times, last = [], time.perf_counter()
    for images, labels in batches(options, device, options.warmup + options.steps):
        step(images, labels)
        if device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        times.append(now - last)
        last = now
    kept = times[options.warmup :]
    # with files, workers deliver in bursts: only the mean counts what the loader can sustain
    seconds = statistics.mean(kept) if options.files else statistics.median(kept)
    print(json.dumps({"images_per_second": options.batch / seconds, "n": len(kept), "net": whose}))


if __name__ == "__main__":
    main()
