"""What is known about nequip and Allegro without AiiDA.

- ``parameters``: the parameters of a training and of a compilation;
- ``configuration``: the configuration of ``nequip-train``, for a training and for an evaluation;
- ``resume``: callbacks of a resumed training; a copy of this file is put into the folder of the job;
- ``output``: what the output of nequip says about how a training ended;
- ``metrics``: the learning curves;
- ``predictions``: predictions on frames, and the errors on held-out frames;
- ``package``: the formats of a model, and what the file states about itself;
- ``agreement``: whether a compiled model in LAMMPS gives what nequip gives;
- ``references``: the energies of atoms from which a training starts;
- ``shifts``: energy shifts by element, for a model that goes on with labels of another level of theory;
- ``committee``: disagreement of a committee, its calibration, and the choice of frames to label.
"""
