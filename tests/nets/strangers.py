"""Residual nets as other people write them: plain torch, their attribute names, nothing of this package."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn


class HubLayer(nn.Module):
    """transformers' convolution with its normalisation."""

    def __init__(self, i, o, kernel, stride=1, *, relu=True):
        super().__init__()
        self.convolution = nn.Conv2d(i, o, kernel, stride, padding=kernel // 2, bias=False)
        self.normalization = nn.BatchNorm2d(o)
        self.relu = relu

    def forward(self, x):
        y = self.normalization(self.convolution(x))
        return F.relu(y) if self.relu else y


class HubBlock(nn.Module):
    def __init__(self, i, o, stride, *, bottleneck):
        super().__init__()
        changes = i != o or stride != 1
        self.shortcut = HubLayer(i, o, 1, stride, relu=False) if changes else nn.Identity()
        if bottleneck:
            middle = HubLayer(o // 4, o // 4, 3, stride)
            self.layer = nn.Sequential(HubLayer(i, o // 4, 1), middle, HubLayer(o // 4, o, 1, relu=False))
        else:
            self.layer = nn.Sequential(HubLayer(i, o, 3, stride), HubLayer(o, o, 3, relu=False))

    def forward(self, x):
        return F.relu(self.layer(x) + self.shortcut(x))


class HubStage(nn.Module):
    def __init__(self, i, o, stride, depth, *, bottleneck):
        super().__init__()
        blocks = [HubBlock(o if n else i, o, 1 if n else stride, bottleneck=bottleneck) for n in range(depth)]
        self.layers = nn.Sequential(*blocks)


class HubResNet(nn.Module):
    """ResNetForImageClassification of transformers."""

    def __init__(self, stem, channels, depths, classes, *, bottleneck):
        super().__init__()
        self.resnet = nn.Module()
        self.resnet.embedder = nn.Module()
        self.resnet.embedder.embedder = HubLayer(3, stem, 7, 2)
        ins = (stem, *channels)
        self.resnet.encoder = nn.Module()
        self.resnet.encoder.stages = nn.ModuleList(
            HubStage(i, o, 1 if s == 0 else 2, depth, bottleneck=bottleneck)
            for s, (i, o, depth) in enumerate(zip(ins, channels, depths, strict=False))
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1], classes))

    def forward(self, x):
        x = F.max_pool2d(self.resnet.embedder.embedder(x), 3, 2, 1)
        for stage in self.resnet.encoder.stages:
            x = stage.layers(x)
        return self.classifier(F.adaptive_avg_pool2d(x, 1))


class NotesConv(nn.Sequential):
    def __init__(self, i, o, kernel, stride=1):
        super().__init__(nn.Conv2d(i, o, kernel, stride, padding=kernel // 2, bias=False))


class NotesBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = NotesConv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = NotesConv(o, o, 3), nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class NotesBackbone(nn.Module):
    """The study notes' backbone: a list of stages, a map from each, no head; `stem` names its first layers."""

    def __init__(self, channels, depths, stem):
        super().__init__()
        self.names = stem
        setattr(self, stem[0], nn.Conv2d(3, channels[0], 7, 2, 3, bias=False))
        setattr(self, stem[1], nn.BatchNorm2d(channels[0]))
        self.layers, i = nn.ModuleList(), channels[0]
        for s, (o, depth) in enumerate(zip(channels, depths, strict=True)):
            strides = [1 if s == 0 else 2] + [1] * (depth - 1)
            blocks = [NotesBlock(i if n == 0 else o, o, stride) for n, stride in enumerate(strides)]
            self.layers.append(nn.Sequential(*blocks))
            i = o

    def forward(self, x):
        conv, bn = (getattr(self, name) for name in self.names)
        x, maps = F.max_pool2d(F.relu(bn(conv(x))), 3, 2, 1), []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


class VisionBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class VisionResNet(nn.Module):
    """torchvision's ResNet of basic blocks; `cifar` puts a 3x3 in the place of its stem, as people do."""

    def __init__(self, channels, depths, classes, *, cifar=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels[0], 3, 1, 1, bias=False) if cifar else nn.Conv2d(
            3, channels[0], 7, 2, 3, bias=False
        )  # fmt: skip
        self.bn1, self.relu = nn.BatchNorm2d(channels[0]), nn.ReLU()
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        i = channels[0]
        for s, (o, depth) in enumerate(zip(channels, depths, strict=True)):
            strides = [1 if s == 0 else 2] + [1] * (depth - 1)
            blocks = [VisionBlock(i if n == 0 else o, o, stride) for n, stride in enumerate(strides)]
            setattr(self, f"layer{s + 1}", nn.Sequential(*blocks))
            i = o
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels[-1], classes)

    def features(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x):
        return self.fc(self.avgpool(self.features(x)).flatten(1))
