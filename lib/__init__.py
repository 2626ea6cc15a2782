"""The package of the course *When Training Gets Stuck*.

Each module stands alone and is imported by name: ``from lib.optimizers import Adam``.
"""

__version__ = "0.1.0"
