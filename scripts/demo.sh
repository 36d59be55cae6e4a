#!/usr/bin/env bash
# Import an archive into a fresh profile of its own, print the results and write the page: scripts/demo.sh [FOLDER] [PAGES]
# FOLDER holds the archives (examples/lisicon), PAGES gets a page for each (results).
set -euo pipefail

folder=${1:-examples/lisicon}
pages=${2:-results}
shopt -s nullglob
archives=("$folder"/*.aiida)
if [ ${#archives[@]} -eq 0 ]; then
    echo "There is no archive in $folder. Run a campaign (make run), and put its archive there:" >&2
    echo "    source env.sh && aiida-ionconduct export PK --provenance -o $folder/NAME.aiida" >&2
    exit 1
fi

# AiiDA keeps everything in the folder of AIIDA_PATH: a demonstration begins without what the last one has left.
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
export AIIDA_PATH=$profile
verdi profile setup core.sqlite_dos -n --profile-name demo --broker none --set-as-default \
    --email demo@localhost --first-name Demo --last-name User --institution None >/dev/null 2>"$profile/log" ||
    { cat "$profile/log" >&2; exit 1; }
for archive in "${archives[@]}"; do
    name=$(basename "$archive" .aiida)
    echo "== $archive"
    aiida-ionconduct import "$archive" --page "$pages/$name.html"
done
