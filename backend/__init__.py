"""Splatwright's backend: trains, edits and renders Gaussian splats without Blender."""
