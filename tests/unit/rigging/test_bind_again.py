"""Splats are bound again as they were, whatever is set by then."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from backend.methods.job import QuietJob
from backend.methods.rigging.bind import BindSettings, run
from backend.rigging.binding import Binding
from backend.rigging.inputs import RiggingInputs
from backend.rigging.moved import moved_binding
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.unit.rigging.test_bound import cloud_of, icosphere

AS_IT_WAS = BindSettings(driver="per_face", distance=0.3, far="follow", keep_thickness=True, stretch_limit=7.0)
NOW = BindSettings(as_before=True, far="stay")


def bound(config: BindSettings, mesh: TriangleMesh, before: Binding | None = None) -> Binding:
    return run(config, RiggingInputs(cloud_of(2), mesh, before), QuietJob()).binding


def upper_half() -> TriangleMesh:
    whole = icosphere()
    return replace(whole, faces=whole.faces[whole.corners[:, :, 2].mean(1) > 0])


def test_a_stored_binding_knows_how_it_was_made() -> None:
    before = Binding.from_arrays(bound(AS_IT_WAS, icosphere()).to_arrays())
    assert BindSettings.of(before) == AS_IT_WAS
    again = bound(NOW, upper_half(), before)
    assert BindSettings.of(again) == AS_IT_WAS
    assert 0 < again.rigid.sum() < len(again), "what hung on the lower half is far now, and follows"
    wanted = bound(AS_IT_WAS, upper_half())
    assert np.array_equal(again.faces, wanted.faces) and np.array_equal(again.rigid, wanted.rigid)


def test_a_binding_of_earlier_days_is_read_and_knows_whether_far_splats_follow() -> None:
    arrays = bound(AS_IT_WAS, upper_half()).to_arrays()
    del arrays["reach"]
    assert BindSettings.of(Binding.from_arrays(arrays)) == replace_distance(AS_IT_WAS, None)
    arrays["reach"] = np.array([np.nan, 0])
    with pytest.raises(ValueError, match="two numbers"):
        Binding.from_arrays(arrays)


def test_the_distance_grows_with_the_splats() -> None:
    grown = moved_binding(bound(AS_IT_WAS, icosphere()), np.diag([2.0, 2, 2, 1]), 2 * cloud_of(2).means)
    assert grown is not None and BindSettings.of(grown) == replace_distance(AS_IT_WAS, pytest.approx(0.6))


def test_what_has_no_binding_cannot_be_bound_as_before() -> None:
    with pytest.raises(UserError, match="not bound to a mesh"):
        bound(NOW, icosphere())


def replace_distance(settings: BindSettings, distance: object) -> BindSettings:
    return msgspec.structs.replace(settings, distance=distance)
