"""What `fit` and `resume` have in common: the steps that are left, and the sequence that ends a run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..bundle.file import save as seal
from ..bundle.header import Bundle, Member
from ..data.parts.known import FORGOTTEN, count
from ..data.preprocess import Normalise
from ..engine.scorer import TorchScorer
from ..measure.bn_statistics import exact_bn_statistics
from ..measure.evaluate import evaluate_net
from ..measure.evaluation import Evaluation
from ..measure.features import linear_probe
from ..measure.metrics import NotFinite
from ..nets.build import create_model
from ..nets.weights import load_weights
from ..runtime.process_group import World
from ..runtime.switches import owned
from ..spec.codec import to_json
from ..spec.errors import UserError
from ..spec.net import Spec
from ..train import checkpoint
from .batch_size import memory_advice
from .checkpoint import Progress
from .events import Watch
from .folder import still_there
from .loop import Work, diverged, train
from .origin import weights_sha256
from .parts import Parts, provisional
from .pictures import FILE_NAME as PICTURES
from .pictures import RunPictures
from .records.belonging import run_id, split_digest
from .records.run import RunRecord
from .schedule import start
from .stopping import Interrupted, stop_signals
from .together import average_statistics, check_equal, check_same_start, digest, share_state, share_statistics
from .update import prepare_update

BN_BATCHES = 200  # exact statistics average over at most this many training batches


def execute(
    folder: Path,
    record: RunRecord,
    parts: Parts,
    world: World,
    *,
    opened: contextlib.AbstractContextManager[None] | None = None,
    watch: Watch | None,
) -> None:
    """From `run.json` and whatever checkpoint there is to the sealed file.

    `opened` makes a new run's folder, once the network and its optimiser stand: what cannot be built writes nothing.
    Raises `Interrupted` where a signal asked to stop, at whatever time; what is done by then is on disk.
    """
    recipe, settings, pictures = record.recipe, record.settings, parts.pictures
    with contextlib.ExitStack() as stack:
        stack.enter_context(owned(settings.threads))
        stack.enter_context(torch.random.fork_rng())
        stop = stack.enter_context(stop_signals())
        torch.manual_seed(record.seed)
        net = create_model(record.spec)
        if opened is not None or not checkpoint.any_intact(folder / "checkpoints"):
            load_start(net, record)
            begin_with_probe(net, record, parts)
        update = prepare_update(net, recipe, settings, pictures.train, world=world)
        val = pictures.val
        validate = provisional(record, val, parts.normalise) if val is not None else lambda _: None
        stack.enter_context(opened or contextlib.nullcontext())
        world.barrier()  # no process reads checkpoints before the first one has cleared the folder
        own = run_id(record)
        progress = checkpoint.load_newest(folder / "checkpoints", update, own)
        check_same_start(folder, progress, world)
        work = Work(
            folder=folder,
            update=update,
            loader=parts.loader,
            seed=record.seed,
            progress=progress or Progress(run=own, seen=start(recipe, record.spec.depth)),
            validate=validate,
            watch=watch if watch is not None and world.first else lambda event: None,
            stop=stop,
            keep=lambda: keep_pictures(pictures, folder, world),
            world=world,
        )
        with still_there(folder):
            keep_pictures(pictures, folder, world)
            with memory_advice(recipe):
                train(work)
            finish(work, record, parts)
        world.barrier()
        asked = [signum for signum in world.gather(stop()) if signum is not None]
    if asked:  # after the last step: the run is whole, but what was to come after it (another fold) must not begin
        raise Interrupted(folder, asked[0])


def keep_pictures(pictures: RunPictures, folder: Path, world: World) -> None:
    """Write what all processes have read so far."""
    pictures.exchange(world)
    if world.first:
        pictures.keep(folder)


def load_start(net: nn.Module, record: RunRecord) -> None:
    """Put the weights that a run starts from into `net`, where it names some; `UserError` where they were altered."""
    if record.weights is None:
        return
    if record.weights_sha256 not in (None, weights_sha256(record.weights)):
        raise UserError(f"{record.weights}: altered since the run began from it; put it back, or train anew")
    load_weights(net, record.weights, prefer=record.prefer)


def begin_with_probe(net: nn.Module, record: RunRecord, parts: Parts) -> None:
    """Give `net` the head of a linear probe on its own features, where the recipe asks for one (2202.10054).

    So training moves on from what the features are worth as they are. Where there is nothing to fit or choose it on, or
    the network's last layer reads something else than pooled features, the head stays as it is.
    """
    layer = getattr(getattr(net, "head", None), "fc", None)
    val = parts.pictures.val
    if not record.recipe.probe or record.weights is None or val is None or not isinstance(layer, nn.Linear):
        return
    normalise = Normalise(record.preprocess, parts.normalise.mean_image)
    try:
        net.to(record.settings.device).eval()
        _, head = linear_probe(net, normalise, parts.pictures.train, val, device=record.settings.device)
    except UserError:  # of one class, or without pooled features
        return
    if head.weight.shape == layer.weight.shape:
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(head.weight))
            layer.bias.copy_(torch.from_numpy(head.bias))


def finish(work: Work, record: RunRecord, parts: Parts) -> None:
    """The one sequence that ends a run: select weights, exact BN statistics, evaluate in fp32, seal."""
    progress, recipe, pictures = work.progress, record.recipe, parts.pictures
    net = plain_copy(chosen_net(work), record.spec)
    mean_image = parts.normalise.mean_image
    val = validated(net, work, record, parts)
    known = pictures.settle(work.world, record.on_bad_file, selects=bool(recipe.decides_on_validation))
    if not work.world.first:
        return
    if val is not None and pictures.val is not None:
        marked = record.data.get("selected_on") == "test"  # of the weights it began with
        val = replace(val, seen=count([known], pictures.val, pictures.val.rows)[0], selected_on_test=marked)
    pictures.keep(work.folder)
    trained, held = record.split.train, record.split.val
    bundle = Bundle(
        members=(Member(record.spec),),
        preprocess=record.preprocess,
        classes=tuple(record.data["classes"]),
        recipe=to_json(recipe),
        data=record.data | {"train": len(trained), "val": len(held), "split": split_digest(trained, held)},
        scores={"val": val.to_json()} if val is not None else {},
        source=record.source,
    )
    with work.journal() as journal:
        journal.write(
            kind="end",
            best_epoch=progress.best_epoch,
            seconds=round(progress.seconds, 3),
            images_per_second=round(progress.images_per_second, 1),
            skipped=work.loader.skipped,
            weights=digest(net),
        )
        journal.flush()
    known = FORGOTTEN if record.forget_pictures else known
    seal(work.folder / "model.safetensors", [net], bundle, mean_image=mean_image, known=known)
    forget(work.folder, record)


def validated(net: nn.Module, work: Work, record: RunRecord, parts: Parts) -> Evaluation | None:
    """What the network scores on validation, in fp32. Raises `Diverged` for one that could not be used.

    The loss of a step may still be a number where a running variance, or an answer in evaluation mode, is none.
    """
    if not all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values()):
        raise diverged(work, "weights or running statistics became NaN or infinity")
    if parts.pictures.val is None:
        return None
    normalise = Normalise(record.preprocess, parts.normalise.mean_image)
    try:
        scorer = TorchScorer(net, normalise, device=record.settings.device)
        return evaluate_net(scorer, parts.pictures.val, record.preprocess)
    except NotFinite as error:
        raise diverged(work, str(error)) from None


def forget(folder: Path, record: RunRecord) -> None:
    """Leave no keys in a finished run that is to forget its pictures; until then they tell what it has begun with."""
    if record.forget_pictures:
        (folder / PICTURES).unlink(missing_ok=True)


def chosen_net(work: Work) -> nn.Module:
    """The network that is sealed, the same in every process: the last, best or mean weights, with their statistics."""
    recipe, world, net = work.recipe, work.world, work.update.evaluated
    share_statistics(net, world)
    check_equal(net, world)
    if recipe.select == "best" and work.progress.best_file is not None:
        if world.first:
            checkpoint.load_best(work.folder / "checkpoints", work.progress.best_file, net)
        share_state(net, world)
    if recipe.bn_statistics == "exact" and not recipe.freeze_bn:  # frozen ones are not measured anew
        steps = min(work.loader.steps_per_epoch, BN_BATCHES)
        exact_bn_statistics(net, (batch.images for batch in work.loader.batches(0, steps)))
        average_statistics(net, world)
    return net


def plain_copy(net: nn.Module, spec: Spec) -> nn.Module:
    """The network as whoever opens the sealed file will have it: torch's own layers and layout, evaluation mode."""
    fresh = create_model(spec)
    fresh.load_state_dict(net.state_dict())
    return fresh.to(next(net.parameters()).device, torch.float32).eval()
