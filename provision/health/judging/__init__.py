"""From what a host has told to findings, by theme."""
