"""What changes during a run: learning rates, SH degree, photo size, and when to look and to save."""

from __future__ import annotations

from dataclasses import dataclass

from backend.training.settings import TrainingSettings

REFERENCE_STEPS = 30_000  # the run that the settings' learning rates are meant for


_REFINEMENTS = 60  # in a run, roughly; so often that growth fills the budget in time
_REFINE_EVERY = (50, 100)  # steps; each splat must be seen often enough between two refinements


@dataclass(frozen=True)
class Refinement:
    """When density control adds and removes splats, in steps."""

    start: int
    every: int
    stop: int

    def is_due(self, step: int) -> bool:
        return self.start <= step < self.stop and step % self.every == 0


@dataclass(frozen=True)
class Schedule:
    """The settings' fractions made into step numbers of one run. Steps count from 0."""

    settings: TrainingSettings
    steps: int
    continued: bool = False  # from splats that are learned already: no small photos first, and no fast motion

    def first_rates(self) -> dict[str, float]:
        """Learning rate of every parameter at step 0; short runs learn faster."""
        settings = self.settings
        shortage = max(1.0, REFERENCE_STEPS / self.steps)
        colors = shortage**settings.short_run_colors
        return {
            "means": settings.means_rate * shortage**settings.short_run_means,
            "scales": settings.scale_rate,
            "quats": settings.quat_rate,
            "opacities": settings.opacity_rate,
            "sh0": settings.sh0_rate * colors,
            "shN": settings.shN_rate * colors,
        }

    def means_rate(self, step: int) -> float:
        """Falls exponentially from the first rate to `means_rate_end` of it; continued, from halfway down."""
        done = step / self.steps
        fall = (1 + done) / 2 if self.continued else done
        return self.first_rates()["means"] * self.settings.means_rate_end**fall

    def sh_degree(self, step: int) -> int:
        if self.continued:
            return self.settings.sh_degree
        interval = max(1.0, min(self.settings.sh_every_longest, self.settings.sh_every * self.steps))
        return min(self.settings.sh_degree, int(step / interval))

    def is_coarse(self, step: int) -> bool:
        return not self.continued and step < self.settings.coarse_until * self.steps

    def refinement(self) -> Refinement:
        settings = self.settings
        every = settings.refine_every or min(max(self.steps // _REFINEMENTS, _REFINE_EVERY[0]), _REFINE_EVERY[1])
        start = min(round(settings.refine_from * self.steps), settings.refine_from_latest)
        return Refinement(start, every, round(settings.refine_until * self.steps))

    def evaluates_after(self, done: int) -> bool:
        """Whether to look at held-out photos when `done` steps are done."""
        return _is_due(done, self.settings.evaluate_every, self.steps)

    def saves_after(self, done: int) -> bool:
        """Whether to write a checkpoint when `done` steps are done; the end is always one."""
        return _is_due(done, self.settings.checkpoint_every, self.steps)


def _is_due(done: int, interval: float, steps: int) -> bool:
    return done == steps or done % max(1, round(interval * steps)) == 0
