"""The version, apart from the package's own module: what every layer may name without importing what that one imports."""

__version__ = "0.1.0"
