"""The provenance graph of a campaign, read into plain data.

``campaign``: the outputs of a campaign, or a conductivity with the campaign that it belongs to.
``crystal``: the cell of a campaign, and what was substituted where.
``inputs``: its inputs as flat text, and the differences between the inputs of several campaigns.
``stages``: its stages with their jobs and times, and the data that flowed between them.
``costs``: the core and GPU hours of its stages, and what was planned for them.
``speed``: how fast its molecular dynamics was.
``error_sources``: what the profile knows of errors beyond the runs: cell sizes, other potentials, the functional.
``call_tree``: all processes below a process, and the nodes linked to many processes, in few queries.
``details``: what only the page shows, gathered from the next two.
``trajectories``: block sizes, densities and the comparison with AIMD, computed from the stored trajectories.
``studies``: studies, twin runs and decisions that the profile holds.
"""
