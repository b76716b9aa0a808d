"""The same arithmetic as model.py, sooner: loops that numba compiles, where it can be loaded.

Reading order: compiled_runner.py (the engine's other way), formats.py and packed.py (the parameters as the loops read
them), kernels.py and intrinsics.py (the loops), team.py (threads that help); then loops.py (nobody waits for them),
rehearsal.py (what compiles them), cache.py (where they are kept) and compiled_module.py (how they are loaded).
"""
