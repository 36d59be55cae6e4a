"""The HTML pages of one campaign and of several."""
