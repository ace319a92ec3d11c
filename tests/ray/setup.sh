#!/bin/sh
# Makes an environment with thinkscale and Ray: sh tests/ray/setup.sh FOLDER, from the project's root. Half a minute, 1 GB.
#
# Ray stays out of the environment of the other tests, which must pass without it. torch is not needed here.
set -eu

folder=$1
python=${PYTHON:-python3}

"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet --upgrade pip
"$folder/bin/pip" install --quiet --constraint constraints.txt --editable ".[ray]" --group dev
"$folder/bin/python" -c "import ray; print('ray', ray.__version__)"
