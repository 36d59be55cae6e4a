"""What conductivities and potentials mean, from runs that exist; nothing of AiiDA, and no new dynamics.

- ``error_target``: how much more MD a conductivity needs to be known to a requested error, and which runs come next;
- ``block_size``: does the number depend on the length of the blocks, or on the method?
- ``finite_size``: the same state in cells of several sizes;
- ``potentials``: the same state with several potentials, and what the potential adds to the error;
- ``temperatures``: changes of phase between the points of an Arrhenius line, the Haven ratio against temperature;
- ``orderings``: the scatter between orderings of a disordered crystal, beside the scatter between velocity seeds;
- ``models``: settings of a potential by force error and time, and which of them go on in a study;
- ``lyapunov``: twin runs, how fast they part, and what that means.
"""
