"""Splatwright's Blender extension."""
