"""Touches Blender: bpy in, numpy out."""
