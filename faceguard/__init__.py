"""faceguard: error-minimizing noise for face photos, and the harness that checks it."""

__version__ = "0.1.0"
