"""What autogenerate sees and writes beyond Alembic's own: enums, checks, indexes, defaults.

All that it writes is plain SQL or Alembic's own operations, which run without asking the
database anything: revisions can be rendered in advance.
"""

from alembic.runtime.plugins import Plugin

from autogen import checks, columns, indexes, ordering
from autogen.concurrently import arrange_indexes
from autogen.types import render_item

__all__ = ["PLUGINS", "arrange_indexes", "render_item"]

_MODULES = (checks, columns, indexes, ordering)
PLUGINS = [f"groundwork.{module.__name__.rpartition('.')[2]}" for module in _MODULES]
"""What goes into `autogenerate_plugins` beside Alembic's own."""

for _name, _module in zip(PLUGINS, _MODULES, strict=True):
    Plugin.setup_plugin_from_module(_module, _name)
