"""Methods that let something else move splats."""
