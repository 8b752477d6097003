"""Batch normalisation written out, against torch's own; over slices; over two processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from reslearn.nets.batchnorm import BatchNorm, batch_norm, replace_batchnorm
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError

SHAPES = [(8, 5), (8, 5, 4, 3), (2, 5, 1, 1), (16, 5, 1, 7)]


def pair(dims: int, dtype=torch.float64, **options) -> tuple[nn.Module, BatchNorm]:
    """torch's module and ours with the same random scale and shift."""
    torch.manual_seed(1)
    theirs = (nn.BatchNorm1d if dims == 2 else nn.BatchNorm2d)(5, **options).to(dtype)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = BatchNorm(5, **options).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("momentum", [0.1, 0.9, None])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_torch_in_outputs_gradients_and_statistics(shape, momentum):
    theirs, ours = pair(len(shape), momentum=momentum)
    for training in (True, True, False, True, False):
        theirs.train(training)
        ours.train(training)
        x = torch.randn(shape, dtype=torch.float64) * 3 + 7
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        out_a, out_b = theirs(a), ours(b)
        probe = torch.randn_like(out_a)
        torch.testing.assert_close(out_b, out_a)
        grads_a = torch.autograd.grad(out_a, [a, *theirs.parameters()], probe)
        grads_b = torch.autograd.grad(out_b, [b, *ours.parameters()], probe)
        torch.testing.assert_close(grads_b, grads_a)
        torch.testing.assert_close(dict(ours.named_buffers()), dict(theirs.named_buffers()))


@pytest.mark.parametrize("training", [True, False])
def test_the_function_s_defaults_are_torch_s(training):
    x, gamma, beta = torch.randn(8, 5, 2, 2) * 1e-3, torch.rand(5), torch.randn(5)  # so small that eps counts
    kept = [[torch.zeros(5), torch.full((5,), 1e-6)] for _ in range(2)]
    expected = torch.nn.functional.batch_norm(x, *kept[0], gamma, beta, training=training)
    torch.testing.assert_close(batch_norm(x, *kept[1], gamma, beta, training=training), expected)
    torch.testing.assert_close(kept[1], kept[0], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_the_module_s_flag_decides_not_whether_gradients_are_recorded(training):
    _, ours = pair(4)
    ours.train(training)
    x = torch.randn(8, 5, 2, 2, dtype=torch.float64)
    before = ours.running_mean.clone()
    with torch.no_grad():
        ours(x)
    assert torch.equal(ours.running_mean, before) is not training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_low_precision_is_normalised_in_float32(dtype):
    theirs, ours = pair(4, torch.float32)
    x = (torch.randn(64, 5, 8, 8) + 3).to(dtype)
    out = ours(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), theirs(x.float()), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_large_means_do_not_cancel():
    theirs, ours = pair(4, torch.float32)
    x = torch.randn(32, 5, 8, 8) + 3000
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 4, 3)], ids=str)
def test_slices_are_normalised_as_the_gpus_of_the_papers_were(shape):
    whole, _ = pair(len(shape))
    sliced = BatchNorm(5, bn_batch=4).double()
    sliced.load_state_dict(whole.state_dict())
    x = torch.randn(shape, dtype=torch.float64) * torch.arange(1, 13).view(-1, *[1] * (len(shape) - 1))
    apart = [pair(len(shape))[0] for _ in range(3)]
    expected = torch.cat([module(part) for module, part in zip(apart, x.split(4), strict=True)])
    torch.testing.assert_close(sliced(x), expected)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(sliced, name), torch.stack([getattr(m, name) for m in apart]).mean(0))
    torch.testing.assert_close(sliced.eval()(x[:5]), _same_statistics(sliced, whole)(x[:5]))  # at test: any batch


def _same_statistics(source, target):
    target.load_state_dict(source.state_dict())
    return target.eval()


def test_channels_last_stays_channels_last():
    x = torch.randn(8, 5, 6, 6).to(memory_format=torch.channels_last)
    assert BatchNorm(5, bn_batch=4)(x).is_contiguous(memory_format=torch.channels_last)


def test_gradcheck():
    x = torch.randn(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    gamma, beta = torch.randn(2, 2, dtype=torch.float64).unbind()
    run = lambda x, g, b: batch_norm(x, torch.zeros_like(g), torch.ones_like(g), g, b, training=True, bn_batch=2)  # noqa: E731
    assert torch.autograd.gradcheck(run, (x, gamma.requires_grad_(), beta.requires_grad_()))


def test_left_to_itself_it_adds_to_the_variance_what_torch_adds():
    torch.manual_seed(0)
    x, ones, zeros = 1e-3 * torch.randn(8, 5, dtype=torch.float64), torch.ones(5).double(), torch.zeros(5).double()
    for training in (True, False):
        ours = batch_norm(x, zeros.clone(), 1e-6 * ones, ones, zeros, training=training)
        theirs = nn.functional.batch_norm(x, zeros.clone(), 1e-6 * ones, ones, zeros, training=training)
        assert torch.allclose(ours, theirs, rtol=1e-9)
        assert torch.equal(ours, batch_norm(x, zeros.clone(), 1e-6 * ones, ones, zeros, training=training, eps=1e-5))


def test_wrong_input_is_named():
    assert BatchNorm(5, bn_batch=2).bn_batch == 2, "the least"
    with pytest.raises(UserError, match="bn_batch is 3; it must divide the 8 samples"):
        BatchNorm(5, bn_batch=3)(torch.randn(8, 5))
    with pytest.raises(UserError, match="bn_batch is 1; it must be at least 2"):
        BatchNorm(5, bn_batch=1)
    with pytest.raises(UserError, match="more than one value per channel"):
        BatchNorm(5)(torch.randn(1, 5))
    with pytest.raises(ValueError, match=r"expected \(B, 5\) or \(B, 5, H, W\), got \(8, 4\)"):
        BatchNorm(5)(torch.randn(8, 4))


def test_replacing_keeps_tensors_names_and_evaluation():
    torch.manual_seed(0)
    net = create_model("preact_resnet110_cifar", stage_blocks=(1, 1, 1))
    x = torch.randn(8, 3, 16, 16)
    names, tensors = list(net.state_dict()), [t.data_ptr() for t in net.state_dict().values()]
    together = net(x)
    evaluated = net.eval()(x)
    assert replace_batchnorm(net.train(), bn_batch=4) is net
    assert not torch.allclose(net(x), together)
    assert (list(net.state_dict()), [t.data_ptr() for t in net.state_dict().values()]) == (names, tensors)
    assert sum(isinstance(m, BatchNorm) for m in net.modules()) == 7
    net.load_state_dict(create_model(net.spec).state_dict())
    reference = create_model(net.spec)
    reference.load_state_dict(net.state_dict())
    torch.testing.assert_close(net.eval()(x), reference.eval()(x))
    assert evaluated.shape == (8, 10)


TWO_PROCESSES = """
import sys
import torch
import torch.distributed as dist
from reslearn.nets.batchnorm import BatchNorm

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
torch.manual_seed(0)
x = torch.randn(10, 3, 4, 4, dtype=torch.float64) * 2 + 5
probe = torch.randn_like(x)
whole = torch.nn.BatchNorm2d(3).double()
torch.nn.init.normal_(whole.weight)
mine = BatchNorm(3, process_group=dist.group.WORLD).double()
mine.load_state_dict(whole.state_dict())
part = slice(0, 4) if rank == 0 else slice(4, 10)  # unequal parts
a, b = x.clone().requires_grad_(), x[part].clone().requires_grad_()
expected, got = whole(a), mine(b)
torch.testing.assert_close(got, expected[part])
expected.backward(probe)
got.backward(probe[part])
torch.testing.assert_close(b.grad, a.grad[part])
for ours, theirs in zip(mine.parameters(), whole.parameters()):
    dist.all_reduce(ours.grad)
    torch.testing.assert_close(ours.grad, theirs.grad)
torch.testing.assert_close(dict(mine.named_buffers()), dict(whole.named_buffers()))
dist.destroy_process_group()
"""


def test_two_processes_normalise_as_one(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    command = [sys.executable, str(script)]
    processes = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True) for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors[-2000:]
