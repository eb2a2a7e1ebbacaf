"""Formulas, derivations and pictures: what a graph means, for a person.

This room reads graphs and computes no gradient of its own: derivatives are those that the passes
build, brought into a readable form. Importing it loads nothing: a picture's layout gets ready
before the rest is there.
"""
