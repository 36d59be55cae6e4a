"""The report of one campaign: an HTML page, its figures, and plain-text tables for the terminal."""
