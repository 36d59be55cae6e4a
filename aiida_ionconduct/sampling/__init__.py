"""Frames and labels by a pretrained potential (the teacher), without AiiDA.

- ``parameters``: the section ``pretrained`` of a protocol;
- ``teachers``: the pretrained potentials that are known by name, and how any ASE calculator is named;
- ``cells``: the cells from which the sampling starts: strained, with displaced ions, of other orderings;
- ``tasks``: what a sampling job does, run by run;
- ``sampler``: runs the tasks; a copy of this file is put into the folder of the job;
- ``frames``: the frames that a job has left, also when it was killed;
- ``diversity``: the choice of frames that are worth a DFT calculation;
- ``statement``: how a result says that no DFT was done.
"""
