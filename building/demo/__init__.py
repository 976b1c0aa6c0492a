"""The demo: a scene of Blender's becomes splats, through the extension's own operators."""
