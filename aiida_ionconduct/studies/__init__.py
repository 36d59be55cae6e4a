"""What the numbers mean: how much dynamics they need and how they change with blocks, cell, temperature, first push.

NumPy and `aiida_ionconduct.transport` only; nothing of AiiDA.
"""
