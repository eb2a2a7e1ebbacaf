"""Pictures: a graph with formulas and numbers, laid out by Graphviz and painted here.

A graph becomes an outline (which values are drawn, what is folded), the outline a diagram (boxes
and arrows with their text), the diagram DOT, or positions and then SVG, a page or an image.
"""
