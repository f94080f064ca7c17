"""Wires a board, its inputs and a cloud together, and keeps the record of what happened."""
