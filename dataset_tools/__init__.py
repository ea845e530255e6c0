"""From recordings to datasets of aligned RGB-thermal pairs."""
