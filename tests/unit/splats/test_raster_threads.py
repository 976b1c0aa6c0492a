"""Kernels from several Python threads, under numba's least forgiving threading layer, and with any number of cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

RENDER_WHILE_TRAINING = """
import threading, torch
from backend.splats.raster import rasterization
from backend.splats.similarity import l1_ssim_loss

g = torch.Generator().manual_seed(0)
means = torch.rand((300, 3), generator=g) * 2 + torch.tensor([-1.0, -1.0, 2.0])
quats, scales = torch.randn((300, 4), generator=g), torch.rand((300, 3), generator=g) * 0.1
opacities, colors = torch.rand(300, generator=g), torch.rand((300, 3), generator=g)
view = torch.eye(4)[None]
k = torch.tensor([[[80.0, 0, 40], [0, 80, 30], [0, 0, 1]]])
stop, failures, drawn = threading.Event(), [], 0

def draw(values):
    return rasterization(values, quats, scales, opacities, colors, view, k, 80, 60)[0]

expected = draw(means)

def render():
    global drawn
    while not stop.is_set():
        if not torch.equal(draw(means), expected):
            failures.append("a render came out different while a training step ran")
        drawn += 1

lane = threading.Thread(target=render)
lane.start()
while drawn == 0:
    pass
moving = means.clone().requires_grad_()
for _ in range(40):
    loss = l1_ssim_loss(draw(moving)[0], torch.zeros(60, 80, 3))
    loss.backward()
    with torch.no_grad():
        moving -= 0.1 * moving.grad
        moving.grad = None
stop.set()
lane.join()
import numba
print(numba.threading_layer(), drawn, failures)
assert drawn > 1 and not failures
"""

PRINT_HASH = """
import hashlib, torch
from backend.splats.kernels import set_thread_count
from backend.splats.raster import rasterization

set_thread_count(THREADS)
g = torch.Generator().manual_seed(0)
tensors = [torch.rand((500, 3), generator=g) * 3 + torch.tensor([-1.5, -1.5, 2.0]), torch.randn((500, 4), generator=g),
           torch.rand((500, 3), generator=g) * 0.2, torch.rand(500, generator=g), torch.rand((500, 3), generator=g)]
tensors = [t.requires_grad_() for t in tensors]
k = torch.tensor([[[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]])
picture, alpha, _ = rasterization(*tensors, torch.eye(4)[None], k, 100, 80)
(picture.square().sum() + alpha.sum()).backward()
digest = hashlib.sha256(picture.detach().numpy().tobytes())
for t in tensors:
    digest.update(t.grad.numpy().tobytes())
print(digest.hexdigest())
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_render_may_run_beside_a_training_step() -> None:
    output = run(RENDER_WHILE_TRAINING, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert output.startswith("workqueue")


def test_the_same_bits_with_one_thread_and_with_two() -> None:
    one = run(PRINT_HASH.replace("THREADS", "1"), NUMBA_NUM_THREADS="2")
    two = run(PRINT_HASH.replace("THREADS", "2"), NUMBA_NUM_THREADS="2")
    assert one == two
