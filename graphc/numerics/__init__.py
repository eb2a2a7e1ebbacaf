"""Curvature and pruning on top of callables: products in, arrays out. It knows no other room.

:class:`~graphc.numerics.problem.Problem` is an objective over one flat vector of parameters; who
makes one (``graphc.session``) knows models, data and generated modules.
"""
