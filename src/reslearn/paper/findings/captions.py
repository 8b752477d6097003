"""What stands under each figure, by the kind of figure; and what each probe is called where it is missed."""

from __future__ import annotations

from collections.abc import Mapping

CAPTIONS: Mapping[str, str] = {
    "curves": "Error against iterations; thin: training (running mean over an epoch of augmented pictures), dashed "
    "where it stands beside test; bold: test.",
    "loss_curves": "Training loss (dashed, left axis) and test error (solid, right axis) against iterations.",
    "responses": "Standard deviation of each 3x3 layer's output after BN, before the ReLU or the addition; plain nets "
    "dashed. Right: every layer against what BN's own parameters promise, the root of mean gamma squared plus the "
    "variance of beta; on the line they are equal.",
    "cardinality": "Test error against model size from one baseline; bars are one standard error of the mean.",
    "bars": "Final errors; each dot is one run.",
    "degradation": "Left: final errors. Middle, right: Euclidean norm of the loss's gradient at the output of each "
    "block's last convolution, one batch of 128 training pictures, before the first step and after the last.",
    "constructed": "Training error; the star is the net as built, measured before its first step.",
    "depth": "Final errors against depth.",
    "gates": "Left: final errors. Right: mean share of each block's shortcut that its gate lets through.",
    "lesion": "Test error with one shape-preserving block left out; dashed: the whole net.",
    "ensemble": "Test error of each member, and of the ensemble as members join from the left.",
    "operations": "Published top-5 error over counted multiply-adds, and over counted activations; area: parameters; "
    "filled: 10-crop, hollow: single crop; dotted: the same net with squeeze-and-excitation gates.",
    "gradients": "Left: median gradient norm at the convolutions of the first third over that of the last third; "
    "dashed: no change. Right: what each block does to the gradient that passes it.",
    "times": "Median time of one minibatch.",
    "convergence": "Training error; dotted: the error with which plain-20 ends; marks: where each net reaches it.",
    "branches": "|F| / |x| of each block with an identity shortcut; dashed: as large as the signal.",
    "cut": "Left: final errors. Right: share of each BN's output below 0; dotted: one half; dashed lines: gamma "
    "and beta fixed.",
    "excitations": "Mean excitation of channels of the last gate of each stage, by class.",
    "excitation_spread": "Mean excitation of channels for two classes; shaded: one standard deviation within a class.",
}

# What a probe measures, in a reader's words.
PROBED: Mapping[str, str] = {
    "responses": "the deviation of every layer's output",
    "gradients": "gradient norms by layer",
    "lesion": "errors with one block dropped",
    "gates": "how open each gate is",
    "branches": "|F| / |x| of every block",
    "cut": "the share of every BN's output below 0",
    "excitations": "excitations by class",
}
