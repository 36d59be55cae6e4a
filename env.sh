# Source this file (`source env.sh`) to use this clone: its Python, its commands and its AiiDA profile.
_ionconduct_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)
source "$_ionconduct_root/.venv/bin/activate"
export AIIDA_PATH="$_ionconduct_root"
export AIIDA_IONCONDUCT_CACHE="$_ionconduct_root/.cache"
unset _ionconduct_root
