"""Stands where `python -m MODULE` would: hands all it has to the server, and ends as the fork does.

Run as `python -IS client.py SOCKET MODULE ARGUMENT...`, which imports next to nothing.
"""

import json
import os
import signal
import socket
import sys


def _main() -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.connect(sys.argv[1])
        task = {
            "arguments": sys.argv[2:],
            "environment": dict(os.environ),
            "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes a while to import
            "leads": os.getsid(0) == os.getpid(),
        }
        data = os.fsencode(json.dumps(task))
        socket.send_fds(server, [len(data).to_bytes(4)], [0, 1, 2])
        server.sendall(data)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):  # the caller waits for the fork to close them
            os.dup2(nothing, descriptor)
        said = b""
        while piece := server.recv(64):
            said += piece
    status = int(said or b"1")
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(_main())
