#!/bin/sh
# The Python language host that can be built from published modules is an old one: it
# knows nothing of the `virtualenv` option in Pulumi.yaml. This wrapper puts the
# project's virtual environment first on PATH, so that `pulumi up` finds the program's
# packages as it does with a current host. The engine starts it in the folder of the
# program, which is the project's or below it.
set -eu

self=$(readlink -f "$0")
here=${self%/*}

root=$PWD
while [ -n "$root" ] && [ ! -f "$root/Pulumi.yaml" ] && [ ! -f "$root/Pulumi.yml" ]; do
    root=${root%/*}
done

venv=
for project in "$root/Pulumi.yaml" "$root/Pulumi.yml"; do
    [ -f "$project" ] || continue
    venv=$(sed -n "s/^[[:space:]]*virtualenv:[[:space:]]*//p" "$project" | head -n 1 |
        sed -e 's/[[:space:]]#.*$//' -e 's/[[:space:]]*$//' -e "s/^[\"']//" -e "s/[\"']\$//")
    break
done
case ${venv:=.venv} in
/*) ;;
*) venv=$root/$venv ;;
esac

if [ -x "$venv/bin/python" ]; then
    PATH=$venv/bin:$PATH
    export PATH
    unset PYTHONHOME
fi

# Killed, the engine would leave the host, which looks for it every few minutes. What looks after it
# has no business with the host's output, which the engine reads to its end.
if command -v python3 >/dev/null 2>&1; then
    python3 -IS "$here/../libexec/orphans.py" "$$" "$PPID" </dev/null >/dev/null 2>&1 &
fi

exec "$here/../libexec/pulumi-language-python" "$@"
