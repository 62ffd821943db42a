"""Sets up a school's own server and leaves a record of it that anyone can check."""

__version__ = "0.1.0"
