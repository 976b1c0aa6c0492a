from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from backend.training.checkpoint import CheckpointStore
from shared_protocol.errors import UserError

IDENTITY = {"method": "mcmc", "settings": {"seed": 0, "rate": 0.1 + 0.2}, "capture": "abc"}


def store(folder: Path, notes: list[str] | None = None, **changes: object) -> CheckpointStore:
    return CheckpointStore(folder, {**IDENTITY, **changes}, (notes if notes is not None else []).append)


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {
        "parameter.means": torch.full((5, 3), value),
        "optimizer.means.step": torch.tensor(7.0),
        "generator": torch.Generator().manual_seed(1).get_state(),
        "empty": torch.zeros(5, 0, 3),
        "strided": torch.arange(12.0).reshape(3, 4).T,
    }


def test_what_goes_in_comes_out(checkpoint_folder: Path) -> None:
    facts = {"waiting_views": [3, 1, 2], "loss": 0.1 + 0.2}
    store(checkpoint_folder).save(40, tensors(1.5), facts)
    found = store(checkpoint_folder).newest()
    assert found is not None
    assert found.step == 40 and found.facts == facts
    expected = tensors(1.5)
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(found.tensors[name], expected[name]) for name in expected)


def test_no_checkpoint_is_no_error(checkpoint_folder: Path) -> None:
    assert store(checkpoint_folder).newest() is None
    assert store(checkpoint_folder / "missing").newest() is None


def test_the_newest_two_are_kept(checkpoint_folder: Path) -> None:
    own = store(checkpoint_folder)
    for step in (10, 20, 30, 40):
        own.save(step, tensors(step), {})
    assert sorted(path.name for path in checkpoint_folder.iterdir()) == [
        "step_00000030.json",
        "step_00000030.safetensors",
        "step_00000040.json",
        "step_00000040.safetensors",
    ]


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_newest_is_passed_over(checkpoint_folder: Path, suffix: str, damage: str) -> None:
    own = store(checkpoint_folder)
    own.save(10, tensors(1.0), {})
    own.save(20, tensors(2.0), {})
    path = checkpoint_folder / f"step_00000020{suffix}"
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        path.write_bytes(content[:-9] + b"\xff" + content[-8:])
    else:
        path.unlink()
    notes: list[str] = []
    found = store(checkpoint_folder, notes).newest()
    assert found is not None and found.step == 10
    assert float(found.tensors["parameter.means"][0, 0]) == 1.0
    if (suffix, damage) != (".json", "missing"):
        assert len(notes) == 1 and "step_00000020.json" in notes[0]


def test_a_run_that_goes_on_keeps_what_it_came_from_and_drops_the_rest(checkpoint_folder: Path) -> None:
    own = store(checkpoint_folder)
    own.save(10, tensors(1.0), {})
    own.save(20, tensors(2.0), {})
    (checkpoint_folder / "step_00000020.safetensors").write_bytes(b"")
    (checkpoint_folder / ".step_00000030.safetensors.0f0f.part").write_bytes(b"left by a crash")
    other = store(checkpoint_folder)
    assert other.newest() is not None
    other.save(15, tensors(1.5), {})
    assert sorted({path.stem for path in checkpoint_folder.iterdir()}) == ["step_00000010", "step_00000015"]


def test_a_new_run_replaces_the_old_one_only_when_it_has_something(checkpoint_folder: Path) -> None:
    store(checkpoint_folder).save(500, tensors(1.0), {})
    new = store(checkpoint_folder, settings={"seed": 1})
    assert (checkpoint_folder / "step_00000500.json").exists()
    new.save(10, tensors(2.0), {})
    assert not (checkpoint_folder / "step_00000500.json").exists()


def test_another_training_is_not_continued_and_the_difference_is_named(checkpoint_folder: Path) -> None:
    store(checkpoint_folder).save(10, tensors(1.0), {})
    with pytest.raises(UserError, match=r"another settings \(seed 5, was 0\)"):
        store(checkpoint_folder, settings={"seed": 5, "rate": 0.1 + 0.2}).newest()
    with pytest.raises(UserError, match="another capture"):
        store(checkpoint_folder, capture="xyz").newest()


def test_another_version_is_not_continued(checkpoint_folder: Path) -> None:
    store(checkpoint_folder).save(10, tensors(1.0), {})
    card = checkpoint_folder / "step_00000010.json"
    card.write_text(card.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(UserError, match="another version"):
        store(checkpoint_folder).newest()


def test_a_full_disk_leaves_the_last_good_one(checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = store(checkpoint_folder)
    own.save(10, tensors(1.0), {})

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UserError) as caught:
        own.save(20, tensors(2.0), {})
    assert caught.value.kind == "disk_full" and "step_00000020" in caught.value.message
    monkeypatch.undo()
    found = store(checkpoint_folder).newest()
    assert found is not None and found.step == 10
    assert not list(checkpoint_folder.glob("*20*"))
