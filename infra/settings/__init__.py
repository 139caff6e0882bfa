"""The stack's configuration: read and validated once, every mistake in one message."""

from infra.settings.errors import SettingsError
from infra.settings.model import Access, Limits, Settings, Tls
from infra.settings.reading import load, parse

__all__ = ["Access", "Limits", "Settings", "SettingsError", "Tls", "load", "parse"]
