"""Everything that needs a GPU, in one command: see ``python tools/gpu_check --help``."""
