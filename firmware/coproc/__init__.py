# The co-processor's firmware: MicroPython only.
