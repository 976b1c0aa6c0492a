"""A cloud that is in memory is not read again, and memory is not held for it."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.workspace import Workspace


def test_an_edit_is_read_from_memory_while_it_is_there(
    workspace: Workspace, make_cloud: Callable[..., SplatCloud]
) -> None:
    store = AssetStore(workspace)
    first = store.add(store.create("a").id, make_cloud(), label="made")
    cloud = store.read(first)
    keep = np.arange(len(cloud)) > 3
    second = store.edit(first, cloud.select(keep), label="cut", keep=keep)
    left = store.read(second)
    assert AssetStore(workspace).read(first) is cloud and store.read(second) is left
    third = store.edit(second, left, label="again")
    store.payload_path(first).unlink()
    assert np.array_equal(store.read(third).means, left.means), "what it is based on is in memory"


def test_only_the_last_cloud_is_held(workspace: Workspace, make_cloud: Callable[..., SplatCloud]) -> None:
    store = AssetStore(workspace)
    first = store.add(store.create("a").id, make_cloud(), label="made")
    second = store.edit(first, make_cloud(seed=1), label="other")
    store.read(first)
    store.read(second)
    gc.collect()
    assert workspace.alive.find(first.id) is None and workspace.alive.find(second.id) is not None
    store.remove(second)
    gc.collect()
    assert workspace.alive.find(second.id) is None
