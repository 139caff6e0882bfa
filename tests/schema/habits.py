"""What applications do when they are imported, as the head of an env.py or of what it imports."""

from __future__ import annotations

__all__ = ["ENGINES", "HABITS", "LASTING", "SYNC_ENV"]

SYNC_ENV = """\
from alembic import context
from app import engine, metadata

if context.is_offline_mode():
    context.configure(url=engine.url, target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()
"""
ASYNC_ENV = """\
import asyncio
from alembic import context
from app import engine, metadata


def run(connection):
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


async def online():
    async with engine.connect() as connection:
        await connection.run_sync(run)


if context.is_offline_mode():
    context.configure(url=engine.url, target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(online())
"""

_SYNC = "from sqlalchemy import MetaData, create_engine, event\nimport os\nmetadata = MetaData()\n"
_ASYNC = (
    "from sqlalchemy import MetaData, create_engine, event\n"
    "from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine\n"
    "import os\nmetadata = MetaData()\n"
)

# What app.py holds, and the env.py that imports it. The URL has no driver.
ENGINES = {
    "psycopg2's executemany_mode": (
        _SYNC + "engine = create_engine(os.environ['APP_DB'], executemany_mode='values_plus_batch',"
        " executemany_batch_page_size=5, use_native_hstore=False, connect_args={"
        "'connect_timeout': 5, 'keepalives_idle': 30, 'application_name': 'shop',"
        " 'options': '-c lock_timeout=4s'})\n",
        SYNC_ENV,
    ),
    "psycopg's prepare_threshold": (
        _SYNC + "engine = create_engine(os.environ['APP_DB'].replace('postgresql://',"
        " 'postgresql+psycopg://'), client_encoding='utf8', pool_size=2, connect_args={"
        "'prepare_threshold': None, 'sslmode': 'disable', 'autocommit': False})\n",
        SYNC_ENV,
    ),
    "pg8000's name in the URL": (
        _SYNC + "from sqlalchemy import make_url\n"
        "engine = create_engine(make_url(os.environ['APP_DB']).set(drivername='postgresql+pg8000'),"
        " connect_args={'application_name': 'shop', 'tcp_keepalive': True})\n",
        SYNC_ENV,
    ),
    "asyncpg's server_settings": (
        _ASYNC + "engine = create_async_engine(os.environ['APP_DB'].replace('postgresql://',"
        " 'postgresql+asyncpg://'), connect_args={'server_settings': {'jit': 'off'},"
        " 'statement_cache_size': 0, 'prepared_statement_cache_size': 0})\n",
        ASYNC_ENV,
    ),
    "psycopg's name in an asynchronous URL": (
        _ASYNC + "engine = create_async_engine(os.environ['APP_DB'].replace('postgresql:',"
        " 'postgresql+psycopg:'), connect_args={'prepare_threshold': 0})\n",
        ASYNC_ENV,
    ),
    "one engine of each kind": (
        _ASYNC + "other = create_engine(os.environ['APP_DB'], executemany_mode='values_only')\n"
        "engine = create_async_engine(os.environ['APP_DB'], pool_pre_ping=True)\n",
        ASYNC_ENV,
    ),
    "AsyncEngine around another": (
        _ASYNC + "engine = AsyncEngine(create_engine(os.environ['APP_DB'].replace('postgresql:',"
        " 'postgresql+asyncpg:'), echo=False))\n",
        ASYNC_ENV,
    ),
    "listeners": (
        _SYNC + "engine = create_engine(os.environ['APP_DB'], executemany_mode='values_only')\n"
        "@event.listens_for(engine, 'connect')\n"
        "def connected(connection, record):\n"
        "    cursor = connection.cursor()\n"
        "    cursor.execute('SET jit = off')\n"
        "    cursor.close()\n",
        SYNC_ENV,
    ),
}

# Each stands before the env.py of a project; none of them keeps revisions from being rendered.
HABITS = {
    "a program by its bare name": (
        "import subprocess\nassert subprocess.run(['uname'], capture_output=True).stdout"
    ),
    "a shell": "import os\nassert os.system('true') == 0 and os.popen('echo x').read()",
    "a program that stays": "import subprocess\nsubprocess.Popen(['sleep', '300'])",
    "environb": "import os\nos.environb.get(b'PATH'), os.getenvb(b'HOME'), os.get_exec_path()",
    "the clock": (
        "import datetime as dt, time\nfrom time import sleep\n"
        "STARTED = time.time(), dt.datetime.now(), dt.date.today()\nsleep(0.01)"
    ),
    "random values": "import random, secrets, uuid\nTOKEN = uuid.uuid4(), secrets.token_hex()",
    "temporary files": (
        "import tempfile\nkept = tempfile.NamedTemporaryFile()\nplace = tempfile.mkdtemp()"
    ),
    "a thread that never ends": (
        "import threading, time\nthreading.Thread(target=lambda: time.sleep(900)).start()"
    ),
    "a thread that is busy": (
        "import os, socket, threading, time\n"
        "def work():\n"
        "    while True:\n"
        "        time.sleep(0.0001)\n"
        "        open(os.devnull, 'w').close()\n"
        "        open('beat.log', 'a').close()\n"
        "        try:\n"
        "            socket.create_connection(('127.0.0.1', 1), 0.1)\n"
        "        except OSError:\n"
        "            pass\n"
        "threading.Thread(target=work, daemon=True).start()"
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor()\nassert pool.submit(pow, 2, 3).result() == 8"
    ),
    "signal handlers": (
        "import signal\n"
        "for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):\n"
        "    signal.signal(each, lambda *_: None)\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(0, 0.001, 0.001)"
    ),
    "standard output": (
        "import os, subprocess, sys\nprint('{}')\nos.write(1, b'{}\\n')\n"
        "sys.__stdout__.write('{}\\n')\nsubprocess.run(['echo', '{}'])\n"
        "sys.stderr.write('x' * 2**20)"
    ),
    "other streams": (
        "import io, sys\nsys.stdout = io.StringIO()\nsys.stderr = io.StringIO()\nsys.stdin.close()"
    ),
    "a fork": ("import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)"),
    "a fork that goes on": "import os\nos.fork()",
    "processes": (
        "import multiprocessing as mp\nwith mp.get_context('fork').Pool(1) as pool:\n"
        "    assert pool.apply(len, ([1],)) == 1"
    ),
    "processes from nothing": (
        "import multiprocessing as mp\nwith mp.get_context('spawn').Pool(1) as pool:\n"
        "    assert pool.apply(len, ([1],)) == 1"
    ),
    "atexit": (
        "import atexit, time\natexit.register(print, 'bye')\natexit.register(lambda: 1 / 0)\n"
        "atexit.register(lambda: time.sleep(900))"
    ),
    "another folder": "import os\nos.chdir('/')",
    "a locale": "import locale\nlocale.setlocale(locale.LC_ALL, '')",
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')",
    "other folders for modules": "import sys\nsys.path.insert(0, '/nowhere')\nsys.path.append('.')",
    "a JSON of its own": (
        "import json\n"
        "json.dumps = json.loads = json.dump = json.load = lambda *_, **__: b'another'\n"
        "json.JSONEncoder.default = lambda self, value: str(value)"
    ),
    "a subprocess of its own": (
        "import subprocess\nsubprocess.Popen = subprocess.run = lambda *_, **__: None"
    ),
    "its environment": (
        "import os\nos.environ['PGAPPNAME'] = 'app'\nos.environ.pop('HOME', None)\n"
        "os.putenv('X', 'y')\nos.environ.setdefault('LANG', 'C')\ndict(os.environ)"
    ),
    "a loop that ran": "import asyncio\nasyncio.run(asyncio.sleep(0))",
    "a loop of its own": (
        "import asyncio\nloop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\n"
        "loop.run_until_complete(asyncio.sleep(0))"
    ),
    "a policy of loops": (
        "import asyncio\n"
        "class Policy(asyncio.DefaultEventLoopPolicy): pass\n"
        "asyncio.set_event_loop_policy(Policy())"
    ),
    "logging to files": (
        "import logging\nlogging.basicConfig(filename='app.log', level='DEBUG', force=True)\n"
        "logging.warning('imported')"
    ),
    "recursion": "import sys\nsys.setrecursionlimit(100_000)",
    "hooks": (
        "import gc, sys\nsys.excepthook = lambda *_: None\nsys.unraisablehook = print\n"
        "gc.disable()\nsys.setswitchinterval(0.0001)\nsys.addaudithook(lambda *_: None)"
    ),
    "a patched clock": (
        "import time\nreal = time.time\ntime.time = lambda: real() + 1\n"
        "time.sleep = lambda seconds: None\ntime.monotonic = lambda: 0.0"
    ),
    "sockets": (
        "import socket\nlistener = socket.socket()\nlistener.bind(('127.0.0.1', 0))\n"
        "listener.listen()\nsocket.setdefaulttimeout(5)"
    ),
    "a limit of files": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
}

LASTING = {
    "a program that stays",
    "a thread that never ends",
    "a pool of threads",
    "a fork that goes on",
    "processes from nothing",
    "atexit",
}
"""Those of which something would go on by itself."""
