"""The same arithmetic as model.py, sooner: loops that numba compiles, where it can be loaded.

Reading order: fast_decoder.py (the engine's other way), snapshot.py (the parameters as the loops read them), kernels.py
and intrinsics.py (the loops), compiled_module.py (how they are loaded).
"""
