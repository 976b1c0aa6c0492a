"""Methods that make a mesh of splats."""
