"""Methods that change splats."""
