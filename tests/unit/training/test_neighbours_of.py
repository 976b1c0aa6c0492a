"""Which photos are compared with each other."""

from __future__ import annotations

import numpy as np
import torch

from backend.training.views import Picture, TrainingView, neighbours_of


def view(x: float, *, turned: float = 0.0, pose: int | None = None) -> TrainingView:
    """Stands at x and looks along z, turned about the y axis by so many degrees."""
    turn = np.radians(turned)
    matrix = torch.eye(4)
    matrix[:3, :3] = torch.tensor([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    matrix[:3, 3] = -matrix[:3, :3] @ torch.tensor([x, 0.0, 0.0])
    picture = Picture(torch.zeros(4, 4, 3, dtype=torch.uint8), None, None, matrix[None], torch.eye(3)[None])
    return TrainingView(picture, picture, pose)


def test_the_nearest_come_first_and_others_that_look_away_or_stand_at_the_same_place_are_none() -> None:
    views = [view(0.0), view(1.0), view(0.5), view(0.3, turned=90.0), view(0.0), view(0.2, pose=1)]
    assert neighbours_of(views)[0] == (2, 1)


def test_there_are_eight_at_most() -> None:
    assert [len(found) for found in neighbours_of([view(0.1 * number) for number in range(12)])] == [8] * 12
