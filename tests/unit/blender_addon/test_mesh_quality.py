"""Presets of what makes meshes, over the methods that there really are."""

from __future__ import annotations

import pytest

from backend.methods import registry
from blender_addon.core.mesh_quality import QUALITIES, has_presets, preset, quality_of
from shared_protocol.schema import Setting
from shared_protocol.things import Quality

METHODS = {found.id: found.settings for found in registry.catalog().methods if found.category == "meshing"}


def test_surfaces_have_presets_and_loose_triangles_have_none() -> None:
    assert {name for name, settings in METHODS.items() if has_presets(settings)} == {"tsdf", "poisson"}
    assert preset(METHODS["pseudo_mesh"], "high") == {}


@pytest.mark.parametrize("method", ["tsdf", "poisson"])
@pytest.mark.parametrize("quality", QUALITIES)
def test_a_preset_is_recognised_until_one_of_its_settings_is_changed(method: str, quality: Quality) -> None:
    settings = METHODS[method]
    values = preset(settings, quality)
    assert set(values) == {"views", "faces", "texture"} and quality_of(settings, values) == quality
    assert quality_of(settings, values | {"smooth": 3}) == quality, "it says nothing of that"
    for name in values:
        assert quality_of(settings, values | {name: 77}) is None
    assert quality_of(settings, values | {"texture": None}) is None


def test_each_quality_is_more_than_the_one_before() -> None:
    draft, normal, high = (preset(METHODS["tsdf"], quality) for quality in QUALITIES)
    assert all(draft[name] < normal[name] < high[name] for name in draft)  # type: ignore[operator]
    assert quality_of(METHODS["tsdf"], {}) == "normal", "the defaults are that"


def test_presets_stay_within_the_limits_of_a_method() -> None:
    views = Setting("views", "integer", "Views", "How many.", 40, minimum=30, maximum=60)
    assert [preset([views], quality)["views"] for quality in QUALITIES] == [30, 40, 60]
