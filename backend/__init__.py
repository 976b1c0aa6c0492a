"""Splatwright's backend: trains, edits and renders Gaussian splats without Blender."""

import os

# OpenMP reads this once, when torch or numba load it. Threads that spin while they wait cost nine times the run time on
# a machine that does other work too (Blender beside us, say); waiting passively costs under a millisecond a step.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
