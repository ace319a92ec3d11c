"""Strict typed settings from YAML. See loading.py."""

from thinkscale.settings.loading import Loaded, load_settings, settings_table
from thinkscale.settings.printing import Row, dump_settings

__all__ = ["Loaded", "Row", "dump_settings", "load_settings", "settings_table"]
