"""The parts of build.py. They need nothing but Python itself."""
