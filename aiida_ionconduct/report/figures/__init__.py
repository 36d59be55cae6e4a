"""Figures: functions from arrays and mappings to Matplotlib figures, which the page or a file takes. No AiiDA.

Matplotlib is imported on first use, so that importing the report costs the command line nothing.

``displacement``: ion motion: displacements, their exponent, running conductivities.
``spectrum``: the conductivity against frequency.
``arrhenius``: conductivities against temperature, with the fitted line.
``haven_ratio``: the Haven ratio against temperature.
``comparison``: conductivities or Haven ratios of several campaigns.
``estimates``: conductivities of one state from cells of several sizes, or by several estimators.
``models``: force errors of a study of models against the time of the dynamics.
``potential``: parity plots, learning curves, and the potential against AIMD.
``crystal``: two views of a cell, as SVG.
``block_sizes``, ``density``, ``twins``: the studies of those names.
``provenance``: the drawing of stages and data, by Graphviz.
``style``: the style, and the parts that several figures draw: bands, error bars, legends, axes.
``colours``: the colours in their light and dark form.
``interactive``: which curves the page can switch and read off, and their numbers.
``svg``: a figure as part of a page.
"""
