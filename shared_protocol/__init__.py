"""What Blender and the backend agree on: errors, settings, and later every message."""
