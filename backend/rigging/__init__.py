"""Splats that hang on a mesh: how they are bound, and where a moved mesh takes them."""
