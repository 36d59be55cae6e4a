"""From the provenance graph of a campaign to tables, figures and an HTML page.

``graph`` reads the graph into plain data, ``verdict`` judges the numbers, ``tables`` and ``figures`` show them, and
``page`` puts everything together. ``numbers`` writes numbers as people do, for all of them.
"""
