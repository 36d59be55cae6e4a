"""What a figure shows, read from Matplotlib."""


def lines_by_label(figure):
    """Return the drawn lines by label."""
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def legend_texts(figure):
    """Return the entries of the legend."""
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
