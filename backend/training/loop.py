"""The training loop: draws a photo's view, compares, learns, and looks after progress and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from backend.captures.capture import Photo
from backend.splats.raster import rasterization
from backend.splats.similarity import psnr
from backend.training.checkpoint import Checkpoint, CheckpointStore
from backend.training.failures import diverged, out_of_memory_explained
from backend.training.given_splats import ORIGINS
from backend.training.inputs import TrainingInputs, TrainingJob, TrainingResult
from backend.training.live import LiveSplats
from backend.training.losses import Comparison
from backend.training.recipe import Recipe
from backend.training.representation import (
    POSITIONS,
    ActiveSplats,
    Representation,
    restore_optimizers,
    seen_colors,
    static_parameters,
    training_state,
)
from backend.training.schedule import Schedule
from backend.training.settings import TrainingSettings
from backend.training.start import start_splats
from backend.training.views import Background, Picture, TrainingView, ViewOrder, load_views, neighbours_of
from shared_protocol.errors import UserError

_JUDGED_PHOTOS = 4  # held-out photos behind the PSNR shown while training
_BROKEN_SHARE = 0.01  # of the splats; a few are left out of the result, more mean that the training broke down
_CUDA_LOOK_EVERY = 10  # steps; reading the loss makes the GPU wait


def train(settings: TrainingSettings, inputs: TrainingInputs, job: TrainingJob, recipe: Recipe) -> TrainingResult:
    """Trains to the end of the plan, or until the job wants to stop early.

    Raises what `job.progress` raises, after writing a checkpoint, and UserError when memory or disk is full or the
    numbers broke down; the last good checkpoint is then still there.
    """
    with out_of_memory_explained(inputs.plan):
        return _Training(settings, inputs, job, recipe).run()


class _Training:
    def __init__(self, settings: TrainingSettings, inputs: TrainingInputs, job: TrainingJob, recipe: Recipe) -> None:
        self.settings, self.inputs, self.job, self.recipe = settings, inputs, job, recipe
        self.device = torch.device(inputs.plan.device)
        self.generator = torch.Generator(self.device).manual_seed(settings.seed)
        self.schedule = Schedule(settings, inputs.plan.steps, continued=inputs.start is not None)
        self.frame = inputs.frame()
        self.closed = None if inputs.start is None else inputs.start.closed_space(self.frame, self.device)
        self.background = Background.of(settings.background, inputs.has_transparency, self.device)
        self.views = self._load(inputs.train_photos, coarse=settings.coarse_until > 0)
        self.neighbours = neighbours_of(self.views)
        self.judged_views = self._load(_spread(inputs.test_photos, _JUDGED_PHOTOS), coarse=False)
        self.store = self._open_store()
        self.order = ViewOrder(len(self.views), [])
        self.done = 0
        self.saved: int | None = None  # steps done at the newest checkpoint of this run
        self.loss = math.nan  # the last one that was looked at
        checkpoint = self.store.newest() if self.store and inputs.resume else None
        self.splats = self._restored(checkpoint) if checkpoint else self._fresh()

    def run(self) -> TrainingResult:
        steps = self.inputs.plan.steps
        self.job.show(
            LiveSplats(
                learned=lambda: self.splats,
                sh_degree=lambda: self.schedule.sh_degree(max(0, self.done - 1)),
                frame=self.frame,
                antialiased=self.settings.antialiased,
            )
        )
        self.job.keep_with(lambda: self._save(must=False))
        while self.done < steps and not self.job.stop_early:
            self._step(self.done)
            self.done += 1
            figures: dict[str, float] = {"loss": self.loss, "splats": len(self.splats)}
            if self.judged_views and self.schedule.evaluates_after(self.done):
                figures["psnr"] = self._psnr()
            if self.schedule.saves_after(self.done):
                self._save(must=self.done < steps)
            self._tell(figures)
        finished = self.done == steps
        if not finished:
            self._save(must=False)
        return self._result(finished)

    def _step(self, step: int) -> None:
        number, is_coarse = self.order.next(self.generator), self.schedule.is_coarse(step)
        view = self.views[number]
        picture, *neighbours = (
            seen.half if is_coarse else seen.full for seen in (view, *(self.views[i] for i in self.neighbours[number]))
        )
        background = self.background.draw(self.generator)
        splats = self.splats.splats(view.pose)
        image, alpha, info = self._draw(splats, picture, background, self.schedule.sh_degree(step))
        self.recipe.density.before_backward(self.splats, step, info)
        seen = Comparison(
            image[0],
            alpha[0, ..., 0],
            picture.target(background),
            picture.weights(),
            splats,
            picture=picture,
            visible=(info["radii"][0] > 0).all(dim=-1),
            step=step,
            near=self.settings.near_plane,
            generator=self.generator,
            neighbours=tuple(neighbours),
        )
        losses = torch.stack([part(seen) for part in self.recipe.losses])
        self._look_at(losses, step)
        losses.sum().backward()
        means_rate = self.schedule.means_rate(step)
        for name in self.splats.optimizers.keys() & POSITIONS:
            self.splats.optimizers[name].param_groups[0]["lr"] = means_rate
        for optimizer in self.splats.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.recipe.density.after_step(
            self.splats, step, _of_the_first(len(self.splats), info), means_rate, self.generator
        )
        if self.closed is not None:
            self.closed.silence(self.splats.parameters)
        if not len(self.splats):
            message = f"The training broke down at step {step}: no splat was left."
            raise UserError("diverged", message, "Lower the pruning opacity or use another seed.")

    def _draw(
        self, splats: ActiveSplats, picture: Picture, background: Tensor, sh_degree: int
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        degree, colors = seen_colors(splats, picture.viewmat, sh_degree)
        return rasterization(
            splats.means,
            splats.quats,
            splats.scales,
            splats.opacities,
            colors,
            picture.viewmat,
            picture.intrinsics,
            picture.width,
            picture.height,
            near_plane=self.settings.near_plane,
            sh_degree=degree,
            covars=splats.covariances,
            backgrounds=background[None],
            rasterize_mode="antialiased" if self.settings.antialiased else "classic",
            absgrad=self.recipe.density.wants_absolute_gradients,
        )

    def _look_at(self, losses: Tensor, step: int) -> None:
        """Reads the loss now and then, and stops a training whose numbers broke down before they are learned from.

        The first part, the difference from the photos, is what is shown: the others come and go in the course of a run.
        """
        if self.device.type == "cuda" and step % _CUDA_LOOK_EVERY:
            return
        values = losses.tolist()
        if not math.isfinite(sum(values)):
            raise self._diverged(step, "the loss")
        self.loss = values[0]

    @torch.no_grad()
    def _psnr(self) -> float:
        """Mean over some held-out photos at full size."""
        degree, values = self.schedule.sh_degree(self.done - 1), []
        for view in self.judged_views:
            picture, background = view.full, self.background.shown
            image, _, _ = self._draw(self.splats.splats(view.pose), picture, background, degree)
            values.append(psnr(image[0].clamp(0, 1), picture.target(background), picture.weights()))
        return sum(values) / len(values)

    def _tell(self, figures: dict[str, float]) -> None:
        heard = False
        try:
            self.job.progress(self.done, self.inputs.plan.steps, **figures)
            heard = True
        finally:
            # Cancelled or interrupted: what was learned can be continued later. No folder: nothing is wanted any more.
            if not heard and self.job.folder is not None:
                self._save(must=False)

    def _load(self, photos: Sequence[Photo], *, coarse: bool) -> list[TrainingView]:
        return load_views(photos, self.frame, self.device, coarse=coarse, pose_of=self.inputs.pose_of)

    def _open_store(self) -> CheckpointStore | None:
        if self.job.folder is None:
            return None
        identity = {
            "method": self.recipe.method,
            "settings": msgspec.to_builtins(self.settings),
            "plan": msgspec.to_builtins(self.inputs.plan),
            "capture": self.inputs.fingerprint(),
        }
        return CheckpointStore(self.job.folder, identity, self.job.note)

    def _fresh(self) -> Representation:
        if self.inputs.resume:
            self.job.note("There is no checkpoint yet: starting at the first step.")
        if self.recipe.begin is not None:
            return self._represented(self.recipe.begin(self.generator))
        start = self.inputs.start
        if start is None:
            return self._represented(self._free_splats())
        return self._represented(start.values(self.frame, self.device, sh_degree=self.settings.sh_degree))

    def _represented(self, values: dict[str, Tensor]) -> Representation:
        splats = self.recipe.represent(values, self.schedule.first_rates(), self.recipe.make_optimizer)
        start = self.inputs.start
        return splats if start is None else start.with_fixed(splats, self.frame, self.device)

    def _free_splats(self) -> dict[str, Tensor]:
        settings, plan = self.settings, self.inputs.plan
        start = start_splats(
            self.inputs.train_photos,
            self.inputs.points,
            self.frame,
            most_from_points=max(1, int(settings.start_fraction * plan.max_splats)),
            random_count=max(1, int(settings.random_fraction * plan.max_splats)),
            generator=self.generator,
        )
        return static_parameters(
            start,
            sh_degree=settings.sh_degree,
            opacity=settings.start_opacity,
            scale=settings.start_scale,
            generator=self.generator,
        )

    def _restored(self, checkpoint: Checkpoint) -> Representation:
        tensors = {name: tensor.to(self.device) for name, tensor in checkpoint.tensors.items()}
        values = {name.removeprefix("parameter."): t for name, t in tensors.items() if name.startswith("parameter.")}
        splats = self._represented(values)
        restore_optimizers(splats, tensors)
        density = {name.removeprefix("density."): t for name, t in tensors.items() if name.startswith("density.")}
        self.recipe.density.restore(density)
        self.generator.set_state(checkpoint.tensors["generator"])
        self.order = ViewOrder(len(self.views), list(checkpoint.facts["waiting_views"]))
        self.done, self.loss = checkpoint.step, checkpoint.facts["loss"]
        self.job.note(f"Going on from the checkpoint of step {self.done}.")
        return splats

    def _save(self, *, must: bool) -> None:
        """Writes a checkpoint. must: a full disk or broken splats end the training; else the result comes first."""
        if self.store is None or self.done == self.saved:
            return
        if self._broken_share() > _BROKEN_SHARE:
            if must:
                raise self._diverged(self.done, "the splats")
            return
        tensors = training_state(self.splats)
        tensors |= {f"density.{name}": tensor for name, tensor in self.recipe.density.state().items()}
        tensors["generator"] = self.generator.get_state()
        facts = {"waiting_views": self.order.waiting, "loss": self.loss}
        try:
            self.store.save(self.done, tensors, facts)
            self.saved = self.done
        except UserError as error:
            if must or error.kind != "disk_full":
                raise
            self.job.note(f"{error.message} The checkpoint of step {self.done} is missing.")

    def _broken_share(self) -> float:
        return 1.0 - float(self.splats.finite().float().mean())

    def _result(self, finished: bool) -> TrainingResult:
        if self._broken_share() > _BROKEN_SHARE:
            raise self._diverged(self.done, "the splats")
        cloud, binding, origins = self.splats.bake(), self.splats.binding(), self._origins()
        keep = cloud.finite()
        if not keep.all():
            self.job.note(f"{int((~keep).sum())} splats with NaN or infinite values were left out.")
        if self.closed is not None:
            keep &= ~self.closed.holds(torch.tensor(cloud.means, device=self.device)).cpu().numpy()
        if self.inputs.start is not None:
            keep[: len(self.inputs.start.fixed_rows())] = True
        if not keep.all():
            cloud, binding = cloud.select(keep), None if binding is None else binding.select(keep)
            origins = None if origins is None else origins[keep]
        cloud = self.frame.cloud_to_capture(cloud)
        red, green, blue = self.background.shown.tolist()
        return TrainingResult(
            cloud=cloud if self.inputs.start is None else self.inputs.start.restored(cloud),
            steps=self.done,
            finished=finished,
            loss=self.loss,
            background=(red, green, blue),
            near=self.settings.near_plane * self.frame.extent,
            binding=binding,
            origins=origins,
        )

    def _origins(self) -> np.ndarray | None:
        """int64 [N]: which of the given splats each is or comes from; None = nothing was given."""
        start, learned = self.inputs.start, self.splats.parameters.get(ORIGINS)
        if start is None or learned is None:
            return None
        return np.concatenate([start.fixed_rows(), learned.detach().cpu().numpy()])

    def _diverged(self, step: int, what: str) -> UserError:
        kept = f"{self.store.folder}" if self.store and self.saved is not None else ""
        return diverged(step, what, kept)


def _of_the_first(count: int, info: dict[str, Any]) -> dict[str, Any]:
    """What the rasterizer says of the first splats, which are those that are learned; the others density control
    knows nothing of."""
    means2d: Tensor = info["means2d"]
    if means2d.shape[-2] == count:
        return info
    gradients = {"grad": means2d.grad if means2d.retains_grad else None, "absgrad": getattr(means2d, "absgrad", None)}
    of_these = {name: None if value is None else value[..., :count, :] for name, value in gradients.items()}
    return info | {"means2d": SimpleNamespace(**of_these), "radii": info["radii"][..., :count, :]}


def _spread(photos: Sequence[Photo], count: int) -> list[Photo]:
    """At most `count` photos, evenly over the list."""
    return [photos[i * len(photos) // count] for i in range(count)] if len(photos) > count else list(photos)
