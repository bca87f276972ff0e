"""A cell's step as Triton kernels: generated, kept as a module on disk, launched once a time step."""
