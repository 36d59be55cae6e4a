"""Tables and sentences; every row is written once, for the page and for the terminal.

``conductivity``: conductivities, Haven ratio and diffusion coefficient, what they rest on, and their warnings.
``curves``: displacements, running conductivities and spectra as CSV files.
``error_budget``: what is known of every error, and how the rest can be known.
``expansion``: the cell at 0 K beside the mean cell at each temperature.
``models``: the settings of a study of models, and which parameter matters.
``arrhenius``: activation energy, prefactor and the extrapolation to 300 K.
``potential``: checks of the validation gate, errors of the potential, where its training set comes from.
``error_target``: errors, endings and decisions of a campaign with a target.
``costs``: what the stages have taken, beside the estimate at the submission.
``studies``: block sizes, densities, cell sizes and twin runs.
``terminal``: the whole result of a campaign as text.
``any_result``: any node of this package as text or JSON, as ``aiida-ionconduct show`` prints it.
"""
