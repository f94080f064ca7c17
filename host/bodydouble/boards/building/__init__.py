"""MicroPython built from source into the cache: for `pi-arm` and a Pi, and images for Picos."""
