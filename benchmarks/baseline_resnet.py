"""The other side of a comparison: the CIFAR ResNets and the eager fp32 NCHW loop that public repositories use.

    python benchmarks/baseline_resnet.py resnet20 --batch 128 --steps 60

Written out in plain PyTorch on purpose, with nothing of reslearn: pad-crop-flip on the batch, SGD with momentum.
Prints one JSON object with images_per_second, the median over steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, c_in, c_out, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.pad = (c_out - c_in) // 2
        self.project = None
        if option == "B" and (stride != 1 or c_in != c_out):
            self.project = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.project is not None:
            x = self.project(x)
        elif self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


def build(name):
    width, counts, option = (16, (3, 3, 3), "A") if name == "resnet20" else (64, (2, 2, 2, 2), "B")
    layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    channels = width
    for stage, count in enumerate(counts):
        for index in range(count):
            out = width * 2**stage
            layers.append(BasicBlock(channels, out, 2 if stage and not index else 1, option))
            channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def augment(images):
    """Zero-pad 4, one random crop per picture, random flip: as fast as a tensor loop allows."""
    n = len(images)
    padded = F.pad(images, (4, 4, 4, 4))
    dy, dx = torch.randint(0, 9, (n,)), torch.randint(0, 9, (n,))
    rows = (dy[:, None] + torch.arange(32))[:, None, :, None]
    cols = (dx[:, None] + torch.arange(32))[:, None, None, :]
    cropped = padded[torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None], rows, cols]
    flip = torch.rand(n) < 0.5
    return torch.where(flip[:, None, None, None], cropped.flip(3), cropped)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("net", choices=["resnet20", "resnet18_w64"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--warmup", type=int, default=5)
    options = parser.parse_args()
    net = build(options.net)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    pictures, labels = torch.randn(1024, 3, 32, 32), torch.randint(0, 10, (1024,))
    times = []
    for _ in range(options.warmup + options.steps):
        start = time.perf_counter()
        chosen = torch.randint(0, 1024, (options.batch,))
        loss = F.cross_entropy(net(augment(pictures[chosen])), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        times.append(time.perf_counter() - start)
    kept = times[options.warmup :]
    print(json.dumps({"images_per_second": options.batch / statistics.median(kept), "n": len(kept)}))


if __name__ == "__main__":
    main()
