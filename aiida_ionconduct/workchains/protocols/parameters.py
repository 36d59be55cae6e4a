"""Every key of the protocols of :class:`~aiida_ionconduct.workchains.conductivity.ConductivityWorkChain`.

Type, range and meaning of each key; the defaults are in ``conductivity.yaml``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Self

from aiida_ionconduct.allegro.parameters import AccelerationParameters, Device, TrainingParameters
from aiida_ionconduct.engines.schedulers import DIRECTIVE, NAME
from aiida_ionconduct.lammps.parameters import PairStyle, PressureCoupling, RunParameters
from aiida_ionconduct.parameters import Parameters
from aiida_ionconduct.sampling.parameters import Labels, PretrainedParameters, Sampling

PwThermostat = Literal['none', 'rescale', 'andersen']


def _distinct(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError('must name every value only once')
    return values


Temperatures = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), AfterValidator(_distinct)]
Seed = Annotated[int, Field(gt=0, lt=2**31)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class DftParameters(Parameters):
    """The DFT of all stages."""

    pseudo_family: str = Field(description='label of an installed family of pseudopotentials')
    ecutwfc: float | None = Field(
        gt=0,
        description='cutoff of the wave functions in Ry; null takes the recommendation of the family, below which no '
        'cell is relaxed',
    )
    conv_thr_per_atom: float = Field(gt=0, description='convergence threshold of the energy in Ry per atom')
    kpoints_distance: float | None = Field(
        gt=0, description='largest distance of k-points in 1/Å; null takes the zone centre alone, at half the cost'
    )


class RelaxParameters(Parameters):
    """The relaxation."""

    relax_type: Literal['positions', 'positions_cell'] = Field(
        description='what is relaxed: the positions, or the cell with them'
    )
    protocol: Literal['fast', 'balanced', 'stringent'] = Field(
        description='protocol of aiida-quantumespresso, for all settings of pw.x that are not stated here'
    )
    forc_conv_thr: float = Field(gt=0, description='largest force in Ry/bohr at which the relaxation ends')
    etot_conv_thr_per_atom: float = Field(
        gt=0, description='change of the energy in Ry per atom at which the relaxation ends'
    )


class AimdParameters(Parameters):
    """AIMD: one run for each temperature."""

    temperatures_K: Temperatures | None = Field(
        description='temperatures in K; null takes those of the production, so that the gate can compare with AIMD: of '
        'more than three the lowest, the middle and the highest'
    )
    timestep_fs: float = Field(gt=0, description='time step in fs')
    equilibration_ps: float = Field(ge=0, description='equilibration in ps, which is left out of the trajectory')
    sampling_ps: float = Field(gt=0, description='sampling in ps')
    equilibration_thermostat: PwThermostat = Field(description='thermostat of the equilibration')
    thermostat: PwThermostat = Field(
        description='thermostat of the sampling; with none the energy is conserved, which is then checked'
    )
    thermostat_steps: int = Field(ge=1, description='number of steps over which a thermostat acts')
    seed: int = Field(ge=0, lt=2**31, description='seed of the velocities; every temperature adds its index')

    @model_validator(mode='after')
    def _check_length(self) -> Self:
        if round(self.sampling_ps * 1e3 / self.timestep_fs) < 2:
            raise ValueError(
                f'sampling_ps is {self.sampling_ps:g}, but must be at least two steps of {self.timestep_fs:g} fs: '
                'it is in picoseconds.'
            )
        return self


class RattleParameters(Parameters):
    """Cells with random displacements, labelled beside the AIMD."""

    n_frames: int = Field(ge=0, description='number of cells; 0 does without')
    amplitudes_A: list[Annotated[float, Field(ge=0)]] = Field(
        min_length=2, max_length=2, description='smallest and largest standard deviation of a displacement in Å'
    )
    mobile_factor: float = Field(gt=0, description='factor by which the mobile ions move farther')
    seed: int = Field(ge=0, description='seed of the displacements')


class DatasetParameters(Parameters):
    """The training set: which frames are kept, and which are held out."""

    stride: int = Field(ge=1, description='every AIMD step with a multiple of this number is a frame')
    equilibration_ps: float = Field(
        ge=0, description='cut off the runs of a training set that is given, in ps; AIMD cuts off its own equilibration'
    )
    max_force_eV_per_A: float = Field(gt=0, description='frames with a larger force in eV/Å are left out')
    duplicate_A: float | None = Field(
        ge=0, description='two frames are equal if no atom is farther apart than this in Å; null keeps equal frames'
    )
    spacing_correlation_times: float = Field(
        ge=0, description='least time between two frames of a run, in correlation times; 0 takes all frames'
    )
    gap_correlation_times: float = Field(
        ge=0, description='least time between training frames and held-out frames of a run, in correlation times'
    )
    min_fraction: Fraction = Field(description='share of the frames sent to DFT that must come back labelled')
    level_frames: int = Field(
        ge=0,
        description='frames of a given training set that DFT labels again, to compare the levels of theory before it '
        'adds labels; 0 does not compare',
    )
    level_forces_rmse_eV_per_A: float = Field(
        gt=0, description='largest RMS difference of the forces of these frames, in eV/Å'
    )
    level_energy_mae_eV_per_atom: float = Field(
        gt=0, description='largest mean difference of their energies after a shift of each element, in eV/atom'
    )
    validation: float = Field(gt=0, lt=1, description='share of the frames held out for validation')
    test: float = Field(gt=0, lt=1, description='share of the frames held out for the test')
    seed: int = Field(ge=0, description='seed of the split')

    @model_validator(mode='after')
    def _check_split(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError('validation and test together must be less than 1.')
        return self


class ActiveLearningParameters(Parameters):
    """Active learning with a committee, which takes the place of the rounds of relabelling."""

    max_rounds: int = Field(ge=0, description='largest number of rounds of labelling; 0 does without active learning')
    max_frames: int = Field(ge=1, description='largest number of frames that are labelled in all')
    committee_seeds: Seeds = Field(min_length=2, description='seeds of the members of the committee')
    temperatures_K: Temperatures = Field(description='temperatures of the runs in K, at and above the production')
    seeds: Seeds = Field(description='velocity seeds of the runs; every round adds 100')
    equilibration_steps: int = Field(ge=0, description='time steps of the equilibration of a run')
    production_steps: int = Field(gt=0, description='time steps of the production of a run')
    n_candidates: int = Field(ge=1, description='number of frames of the runs that the committee judges')
    n_frames: int = Field(ge=1, description='number of these frames that are labelled in a round')
    threshold_eV_per_A: float = Field(
        gt=0, description='calibrated disagreement on a force in eV/Å above which a frame is uncertain'
    )
    max_uncertain_fraction: Fraction = Field(description='share of uncertain frames at which the loop ends')
    max_disagreement_eV_per_A: float = Field(
        gt=0, description='disagreement on a force in eV/Å above which a frame is unphysical'
    )
    distance_fraction: float = Field(
        ge=0, description='share of the shortest distances in the training set below which a frame is unphysical'
    )
    training: TrainingParameters = Field(description='parameters of the training that differ in later rounds')


class RelabellingParameters(Parameters):
    """Rounds in which frames of the potential's own dynamics are labelled, at equal times and without a committee."""

    n_rounds: int = Field(ge=0, description='number of rounds')
    max_rounds: int = Field(ge=0, description='largest number of rounds, while the potential fails its validation')
    n_frames: int = Field(ge=1, description='number of frames that are labelled in a round')
    temperatures_K: Temperatures = Field(description='temperatures of the runs in K')
    seeds: Seeds = Field(description='velocity seeds of the runs; every round adds 100')
    equilibration_steps: int = Field(ge=0, description='time steps of the equilibration of a run')
    production_steps: int = Field(gt=0, description='time steps of the production of a run')
    training: TrainingParameters = Field(description='parameters of the training that differ in these rounds')


class PrecisionParameters(Parameters):
    """With a target, the production goes on until the conductivity is known well enough, or the budget is spent."""

    target_relative_error: float | None = Field(
        gt=0, lt=1, description='standard error of the conductivity over its value, such as 0.1; null has no target'
    )
    max_md_ns: float | None = Field(
        gt=0, description='budget: nanoseconds of all runs together, equilibration included'
    )
    max_iterations: int = Field(ge=1, description='largest number of rounds of MD, the first included')
    max_core_hours: float | None = Field(
        gt=0, description='budget: core hours of the MD of this campaign, held to within a round; null has none'
    )
    max_gpu_hours: float | None = Field(
        gt=0, description='budget: GPU hours of the MD of this campaign, held to within a round; null has none'
    )


class ValidationParameters(Parameters):
    """The gate: short runs at the temperatures of the production, and the thresholds that the potential must meet."""

    seed: Seed = Field(description='velocity seed of the runs')
    equilibration_steps: int = Field(ge=0, description='time steps of the equilibration of a run')
    production_steps: int = Field(gt=0, description='time steps of the production of a run')
    forces_mae_eV_per_A: float | None = Field(
        gt=0, description='largest mean absolute error of the forces on held-out frames, in eV/Å; null does not ask'
    )
    energy_mae_eV_per_atom: float | None = Field(
        gt=0, description='largest mean absolute error of the energy on held-out frames, in eV/atom; null does not ask'
    )
    temperature_drift_fraction: float = Field(
        gt=0,
        description='largest change of the temperature over the production that the drift of the total energy would '
        'cause, as a share of the temperature',
    )
    nve_drift_eV_per_atom_per_ps: float | None = Field(
        gt=0,
        description='largest drift of the total energy at constant energy, in eV/atom/ps; null takes the drift that '
        'temperature_drift_fraction allows over the length of the production',
    )
    temperature_fraction: float = Field(
        gt=0, description='largest deviation of the mean temperature, as a share of it, beside chance'
    )
    energy_band_eV_per_atom: float = Field(
        ge=0, description='margin in eV/atom on either side of the potential energies seen in AIMD'
    )
    distance_fraction: float = Field(
        ge=0, description='the shortest distances must exceed this share of the shortest in the training set'
    )
    stress_mae_eV_per_A3: float | None = Field(
        gt=0, description='largest mean absolute error of the stress, in eV/Å³; null does not ask'
    )
    aimd: bool = Field(
        description='with `sampling: pretrained`, whether the AIMD of the section `aimd` is run as well, to compare '
        'with; its frames join the training set'
    )
    rdf_difference: float | None = Field(
        gt=0,
        description='largest difference of a pair distribution function from AIMD, as a share of its area, beyond the '
        'difference between the halves of AIMD; null does not ask',
    )
    msd_factor: float | None = Field(
        ge=1,
        description='largest factor, up or down, between the MSD of the mobile ions and AIMD, at a quarter of the '
        'shorter run; null does not ask',
    )


class ExpansionParameters(Parameters):
    """With `expand`, runs at constant pressure, whose mean cell at each temperature is the cell of the production."""

    seeds: Seeds = Field(description='velocity seeds of the runs at each temperature')
    equilibration_ps: float = Field(ge=0, description='equilibration at constant volume in ps')
    time_ps: float = Field(
        ge=1, description='time at constant pressure in ps; what is equilibration of it is found and left out'
    )
    pressure_bar: float = Field(description='pressure in bar')
    thermostat_damping_fs: float = Field(gt=0, description='damping time of the thermostat in fs')
    barostat_damping_fs: float = Field(gt=0, description='damping time of the barostat in fs')
    pressure_coupling: PressureCoupling | None = Field(
        description='which cell parameters change: all alike, the lengths, or lengths and angles; null takes the '
        'lengths in cells with right angles, and lengths and angles in others'
    )
    max_strain: float = Field(
        gt=0,
        description='largest relative change of a length in the cell, in any direction; beyond it the campaign ends',
    )


class Request(Parameters):
    """What else a job asks the scheduler for; a key that is null is as the site says of the computer."""

    partition: str | None = Field(
        None, pattern=NAME, description='partition or queue, if other than that of the computer'
    )
    account: str | None = Field(
        None, pattern=NAME, description='account or project, if other than that of the computer'
    )
    qos: str | None = Field(None, pattern=NAME, description='quality of service, if other than that of the computer')
    constraint: str | None = Field(
        None, pattern=DIRECTIVE, description='features of the nodes, if other than those of the computer'
    )
    max_memory_kb: int | None = Field(
        None, ge=1, description='memory on each machine in kB, if other than that of the computer'
    )
    directives: list[Annotated[str, Field(pattern=DIRECTIVE)]] | None = Field(
        None, description='directives of the scheduler without their prefix, instead of those of the computer'
    )


class JobResources(Request):
    """What a job asks the scheduler for."""

    num_machines: int = Field(ge=1, description='machines')
    num_mpiprocs_per_machine: int = Field(ge=1, description='MPI processes on each machine')
    max_wallclock_seconds: int = Field(ge=1, description='wall time in s')


class OtherPwResources(Request):
    """What differs from the other jobs of pw.x; a key that is null or left out is the same."""

    num_machines: int | None = Field(None, ge=1, description='machines, if other than in `resources.pw`')
    num_mpiprocs_per_machine: int | None = Field(
        None, ge=1, description='MPI processes on each machine, if other than in `resources.pw`'
    )
    max_wallclock_seconds: int | None = Field(None, ge=1, description='wall time in s, if other than in `resources.pw`')
    threads: int | None = Field(None, ge=1, description='threads of each process')


class TrainingResources(JobResources):
    """What the jobs of nequip ask for."""

    threads: int = Field(ge=1, description='threads of each process')
    gpus: int | None = Field(ge=1, description='GPUs on each machine, asked of the scheduler')
    gpu_type: str | None = Field(None, pattern=NAME, description='type of the GPUs, if other than that of the computer')


class MdResources(TrainingResources):
    """What the jobs of LAMMPS ask for."""

    kokkos: bool = Field(description='whether LAMMPS was built with Kokkos, which then runs on the GPUs')
    mliap: bool = Field(
        description='whether the potential runs with `pair_style mliap`; the code nequip-compile is then '
        'nequip-prepare-lmp-mliap'
    )


class Resources(Parameters):
    """Where the jobs run, and how many at a time."""

    max_concurrent: int = Field(ge=1, description='jobs at a time, of AIMD and of LAMMPS each')
    max_concurrent_scf: int = Field(ge=1, description='jobs at a time that label frames')
    frames_per_job: int = Field(ge=1, description='frames that such a job labels, one after the other')
    device: Device = Field(description='the device of training and molecular dynamics')
    tf32: bool = Field(description='whether the potential may multiply matrices in TF32')
    compilation: AccelerationParameters = Field(description='what makes the compiled potential faster')
    pair_style: PairStyle = Field(description='how the pair style finds the pairs of atoms')
    atoms_per_run: int | None = Field(
        ge=1,
        description='atoms up to which seeds share a LAMMPS run; null takes one seed a run on cpu, 2048 atoms on cuda',
    )
    pw: JobResources = Field(description='jobs of pw.x')
    relax: OtherPwResources = Field(description='relaxation')
    scf: OtherPwResources = Field(description='labelling of frames')
    training: TrainingResources = Field(description='training, compilation and evaluation')
    md: MdResources = Field(description='molecular dynamics')


class ConductivityParameters(Parameters):
    """A campaign from a crystal to its conductivity."""

    temperatures_K: Temperatures = Field(description='temperatures of the production in K')
    seeds: Seeds = Field(description='velocity seeds of the production, the same at every temperature')
    n_atoms_min: int = Field(ge=1, description='least number of atoms in the supercell of the production')
    min_image_distance_A: float | None = Field(
        ge=0,
        description='least distance of an atom from its periodic images in the supercell in Å, for which the supercell '
        'may have up to twice the atoms; null takes 10 Å, or twice the cutoff of the potential if that is more',
    )
    n_candidates: int = Field(
        ge=1, description='number of ordered cells of an alloy that DFT relaxes; the lowest in energy is taken on'
    )
    orderings: int = Field(
        ge=1,
        description='number of orderings of a disordered crystal over which the seeds are spread, at least two seeds '
        'each; DFT relaxes at least as many cells, and the lowest in energy are taken',
    )
    sampling: Sampling = Field(
        description='what explores before the first training: AIMD, or MD with the pretrained potential of the section '
        '`pretrained`, whose labels the potential learns first'
    )
    labels: Labels = Field(
        description='whose energies and forces the potential learns in the end: `pretrained` does no DFT at all, and '
        'every result says so'
    )
    expand: bool = Field(
        description='whether the production runs in the mean cell at each temperature, found at constant pressure by '
        'runs of the section `expansion`, instead of the cell at 0 K; the potential must be trained on stress'
    )
    dft: DftParameters
    relax: RelaxParameters
    pretrained: PretrainedParameters
    aimd: AimdParameters
    rattle: RattleParameters
    dataset: DatasetParameters
    training: TrainingParameters
    finetuning: TrainingParameters
    active_learning: ActiveLearningParameters
    relabelling: RelabellingParameters
    md: RunParameters
    precision: PrecisionParameters
    validation: ValidationParameters
    expansion: ExpansionParameters
    resources: Resources

    @model_validator(mode='after')
    def _check_labels(self) -> Self:
        if self.labels == 'pretrained':
            if self.sampling != 'pretrained':
                raise ValueError(
                    'labels is pretrained, but sampling is aimd, which is DFT: set sampling to pretrained as well.'
                )
            if self.active_learning.max_rounds:
                raise ValueError(
                    'labels is pretrained, but active learning asks DFT for labels: set active_learning.max_rounds to '
                    '0; rounds of relabelling ask the pretrained potential.'
                )
            if self.orderings > 1:
                raise ValueError(
                    'labels is pretrained, but the pretrained potential relaxes a single cell: set orderings to 1.'
                )
            if self.validation.aimd:
                raise ValueError('labels is pretrained, so no AIMD is run: set validation.aimd to false.')
        return self

    @model_validator(mode='after')
    def _check_ensemble(self) -> Self:
        if self.md.ensemble == 'npt':
            raise ValueError(
                'md.ensemble is npt, but must be nve or nvt in a campaign: a run in npt has no trajectory to analyse.'
            )
        return self
