"""What targets that print Python share: lines and names, plain functions, the frame of a module.

Statements are written in NumPy's array language; a target respells them where its own differs.
"""
