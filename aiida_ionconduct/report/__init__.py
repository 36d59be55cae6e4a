"""From the provenance graph of a campaign to tables, figures and an HTML page, in this order.

``graph`` reads the graph into the plain data of ``result``, ``verdict`` judges the numbers, ``tables`` and ``figures``
show them, and ``page`` puts everything into one file. ``number_format`` writes numbers for all of them; ``measured``
reads measured conductivities and finds the campaigns they belong to. Each folder
says in its ``__init__.py`` what its files hold; none imports from a folder that comes later.
"""
