#!/bin/sh
# What Pulumi.yaml leads the engine to: the plugin that this checkout uses, by its own name.
# The folder where the engine looks by itself is shared by all checkouts of a machine.
name=${0##*/pulumi-resource-}
self=$(readlink -f "$0")
root=${self%/toolchain/*}
python=$root/.venv/bin/python
[ -x "$python" ] || python=python3
PYTHONPATH=$root
export PYTHONPATH
unset PYTHONHOME
# Without the packages of the virtual environment: a plugin has its own.
exec "$python" -P -S -m toolchain.plugins "$name" "$@"
