"""Decimating keeps what pictures are made of, and a refit brings back what the others showed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.editing.importance import shares_of_pictures
from backend.editing.inputs import EditingInputs
from backend.meshing.viewpoints import viewpoints_around
from backend.methods.editing.decimate import DecimateSettings, run
from backend.methods.job import QuietJob
from backend.splats.cloud import SplatCloud
from backend.splats.io.joined import joined
from backend.splats.rendering import CloudRenderer
from backend.splats.similarity import psnr
from shared_protocol.errors import UserError
from tests.made_splats import sphere, with_shine

BALL = with_shine(sphere(1.0, 1200), 1)
FAINT = replace(BALL, opacity_logits=np.full(len(BALL), -6.0, np.float32))
LOOKS = viewpoints_around(np.array([[-1.0, -1, -1], [1, 1, 1]]), 7, pixel=0.03, largest=100)


def similarity(one: SplatCloud, other: SplatCloud) -> float:
    """PSNR from sides that decimating does not look from."""
    pictures = [
        [CloudRenderer(cloud, "cpu").draw(look.camera, near=look.near).on((0, 0, 0)) for look in LOOKS]
        for cloud in (one, other)
    ]
    return float(np.mean([float(psnr(a, b)) for a, b in zip(*pictures, strict=True)]))


def test_faint_and_hidden_splats_go_first() -> None:
    hidden = replace(BALL, means=BALL.means * np.float32(0.3))
    cloud = joined([FAINT, BALL, hidden])
    shares = shares_of_pictures(cloud, [(look.camera, look.near) for look in LOOKS], device="cpu")
    outer = shares[len(BALL) : 2 * len(BALL)]
    assert np.median(shares[: len(BALL)]) < 0.02 * np.median(outer)
    assert np.median(shares[2 * len(BALL) :]) < 0.02 * np.median(outer)
    made = run(DecimateSettings(count=1200), EditingInputs(joined([FAINT, BALL])), QuietJob())
    assert made.keep[len(BALL) :].mean() > 0.99 and len(made.cloud) == 1200


def test_the_share_and_the_count_are_kept_exactly() -> None:
    assert len(run(DecimateSettings(share=0.25), EditingInputs(BALL), QuietJob()).cloud) == 300
    assert len(run(DecimateSettings(count=77), EditingInputs(BALL), QuietJob()).cloud) == 77
    assert len(run(DecimateSettings(count=9999), EditingInputs(BALL), QuietJob()).cloud) == 1200


def test_only_what_is_selected_is_thinned_out_and_refitted() -> None:
    selected = BALL.means[:, 2] > 0
    made = run(DecimateSettings(share=0.5, refit_steps=20), EditingInputs(BALL, selected=selected), QuietJob())
    assert made.keep[~selected].all() and made.keep[selected].mean() == pytest.approx(0.5, abs=0.01)
    rest = ~selected[made.keep]
    assert np.array_equal(made.cloud.sh[rest], BALL.sh[~selected])
    assert np.array_equal(made.cloud.means[rest], BALL.means[~selected])
    assert not np.array_equal(made.cloud.sh[~rest], BALL.sh[made.keep & selected])


def test_a_refit_looks_more_like_all_splats_than_those_that_are_left() -> None:
    plain, refitted = (
        run(DecimateSettings(share=0.3, refit_steps=steps), EditingInputs(BALL), QuietJob()).cloud for steps in (0, 150)
    )
    assert len(plain) == len(refitted) == 360
    assert similarity(refitted, BALL) > similarity(plain, BALL) + 2


def test_splats_at_one_place_are_refused() -> None:
    point = replace(BALL, means=np.zeros_like(BALL.means))
    with pytest.raises(UserError, match="one place"):
        run(DecimateSettings(), EditingInputs(point), QuietJob())
