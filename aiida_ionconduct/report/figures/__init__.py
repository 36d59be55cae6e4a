"""Figures: SVG, interactive charts and the drawing of the provenance graph."""
