"""Choices that options, Python and files on disk share, each written once."""

from __future__ import annotations

from typing import Literal

OnBadFile = Literal["stop", "skip"]  # skip: go on without a picture that cannot be read, and list it
Prefer = Literal["plain", "ema"]  # which of the weights in a file that holds both
Combine = Literal["softmax", "logits"]  # what is averaged of several answers: their probabilities, or their logits
Layout = Literal["reslearn", "torchvision", "timm", "akamaster", "kuangliu"]  # whose names of tensors are written
Cifar = Literal["cifar10", "cifar100"]  # what `data download` fetches
Tier = Literal["smoke", "short", "full"]  # how much of a published training is run: `paper/cells/tiers.py`
Encoding = Literal["original", "raw", "jpeg"]  # how a pack holds pictures: bytes as they are, pixels, or JPEG anew
Engine = Literal["torch", "compiled", "onnxruntime", "openvino"]  # what computes logits
Width = Literal["fp32", "bf16", "fp16", "int8"]  # of the numbers that an answer is computed in
GraphInput = Literal["float", "uint8"]  # of an exported graph: normalised pictures of its size, or bytes of any size
Outputs = Literal["logits", "features", "both"]  # of an exported graph: answers, the map of each stage, or both
MapMethod = Literal["cam", "gradcam", "guided", "occlusion", "integrated-gradients"]  # how a class map is made
ExportTo = Literal["folder", "tar", "parquet"]  # what `data export` writes
Sampler = Literal["quasi", "tpe"]  # what a sweep tries: points spread evenly, known beforehand, or what Optuna proposes
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]  # boards that `--log-to` tells a run's numbers
